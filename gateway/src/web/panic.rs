//! The answer of a handler that panicked.

use std::any::Any;

use axum::response::{IntoResponse, Response};
use galley_bus::LogLimiter;
use galley_protocol::{Problem, ProblemType};

use super::Refusal;

/// Logs the message of the panic, in the span of the request, and answers without it.
#[allow(clippy::needless_pass_by_value, reason = "the signature that the layer calls")]
pub fn answer(panic: Box<dyn Any + Send>) -> Response {
    static LIMIT: LogLimiter = LogLimiter::new();
    let said = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("nothing that can be shown");
    if let Some(more) = LIMIT.now() {
        tracing::error!(said, more, "a handler panicked; `more` others since the last such line");
    }
    Refusal(Problem::new(ProblemType::Internal)).into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::Request;
    use axum::routing::get;
    use tower::ServiceExt as _;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::answer;

    #[tokio::test]
    async fn a_handler_that_panics_answers_a_problem_that_does_not_say_why() {
        let panics = get(async || -> &'static str { panic!("the secret") });
        let app: Router =
            Router::new().route("/panic", panics).layer(CatchPanicLayer::custom(answer));
        let response = app
            .oneshot(Request::get("/panic").body(Body::empty()).expect("a request"))
            .await
            .expect("an answer");
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = axum::body::to_bytes(response.into_body(), 4_096).await.expect("a short body");
        let body = String::from_utf8(body.to_vec()).expect("text");
        assert!(body.contains("/problems/internal") && !body.contains("secret"), "{body}");
    }
}
