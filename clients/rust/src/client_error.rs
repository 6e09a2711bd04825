//! The errors of calls.

use std::borrow::Cow;

use galley_protocol::frame::Received;
use serde_json::Value;
use thiserror::Error;

use crate::EndReason;

/// Why a call failed.
#[derive(Clone, Debug, Error)]
pub enum ClientError {
    /// An argument that cannot be right, found before anything was sent.
    #[error("{0}")]
    BadOption(String),
    /// The gateway refused the command.
    #[error("{}", .0["detail"].as_str().unwrap_or("the gateway refused the command"))]
    Problem(Box<Value>),
    /// Too many commands wait for their answers; this one was not taken.
    #[error("{0} commands wait for their answers already")]
    OutboxFull(usize),
    /// The connection has ended for good.
    #[error("{0}")]
    Closed(EndReason),
    /// An answer that is not the one to the command.
    #[error("an answer of the gateway does not fit the command")]
    BadAnswer(Box<Received>),
}

impl ClientError {
    /// Returns the code, for programs: of a problem the last part of its type, of an end its cause.
    #[must_use]
    pub fn code(&self) -> Cow<'_, str> {
        match self {
            Self::BadOption(_) => "bad-option".into(),
            Self::Problem(problem) => slug_of(problem).into(),
            Self::OutboxFull(_) => "outbox-full".into(),
            Self::Closed(end) => end.cause.code().into(),
            Self::BadAnswer(_) => "bad-answer".into(),
        }
    }
}

/// Returns the last part of a problem's type: `already-finished`.
pub fn slug_of(problem: &Value) -> &str {
    let kind = problem["type"].as_str().unwrap_or_default();
    kind.rsplit('/').next().unwrap_or_default()
}
