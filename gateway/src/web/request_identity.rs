//! The identity of the request in progress: its id and its trace. Every problem names them.

use std::pin::pin;

use axum::http::HeaderValue;
use axum::response::Response;
use galley_protocol::{Problem, TraceContext};

tokio::task_local! {
    static IDENTITY: RequestIdentity;
}

#[derive(Debug)]
pub struct RequestIdentity {
    /// The value of `X-Request-Id`.
    pub id: HeaderValue,
    /// The span of the request, if its trace is recorded.
    pub trace: Option<TraceContext>,
}

/// Makes the answer to the request of this identity.
pub async fn within(
    identity: RequestIdentity,
    answer: impl Future<Output = Response>,
) -> (HeaderValue, Response) {
    let mut scope = pin!(IDENTITY.scope(identity, answer));
    let response = scope.as_mut().await;
    let identity = scope.as_mut().take_value().expect("only this function takes it");
    (identity.id, response)
}

/// Returns the span of the request in progress, if its trace is recorded.
#[must_use]
pub fn trace() -> Option<TraceContext> {
    IDENTITY.try_with(|identity| identity.trace).ok().flatten()
}

/// Adds the request in progress to a problem.
#[must_use]
pub fn named(problem: Problem) -> Problem {
    let request = IDENTITY.try_with(|identity| {
        let id = identity.id.to_str().unwrap_or_default().to_owned();
        (id, identity.trace)
    });
    match request {
        Ok((id, trace)) => problem.with_instance(&id).with_trace(trace),
        Err(_) => problem,
    }
}
