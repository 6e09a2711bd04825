//! The identity of the request in progress: its id and its trace, which every problem names, and the
//! language of its reader.

use std::pin::pin;

use axum::http::HeaderValue;
use axum::response::Response;
use galley_protocol::{Language, Problem, TraceContext};

tokio::task_local! {
    static IDENTITY: RequestIdentity;
}

#[derive(Debug)]
pub struct RequestIdentity {
    /// The value of `X-Request-Id`.
    pub id: HeaderValue,
    /// The span of the request, if its trace is recorded.
    pub trace: Option<TraceContext>,
    /// The language of its reader.
    pub language: Language,
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

/// Returns the language of the reader of the answer in progress.
#[must_use]
pub fn language() -> Language {
    IDENTITY.try_with(|identity| identity.language).unwrap_or_default()
}

/// Adds the request in progress to a problem, and says it in the language of its reader.
#[must_use]
pub fn named(problem: Problem) -> Problem {
    let request = IDENTITY.try_with(|identity| {
        let id = identity.id.to_str().unwrap_or_default().to_owned();
        (id, identity.trace, identity.language)
    });
    match request {
        Ok((id, trace, language)) => {
            problem.with_instance(&id).with_trace(trace).spoken_in(language)
        }
        Err(_) => problem,
    }
}
