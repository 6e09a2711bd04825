//! A handler that panicked still answers.

use std::any::Any;

use axum::response::{IntoResponse, Response};
use galley_protocol::{Problem, ProblemType};

use super::Refusal;

/// Logs what the panic said, in the span of the request, and answers without it.
#[allow(clippy::needless_pass_by_value, reason = "the signature that the layer calls")]
pub fn answer(panic: Box<dyn Any + Send>) -> Response {
    let said = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("nothing that can be shown");
    tracing::error!(said, "a handler panicked");
    Refusal(Problem::new(ProblemType::Internal)).into_response()
}
