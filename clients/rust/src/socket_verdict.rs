//! What to make of a socket that could not be opened, or that ended.

use std::time::Duration;

use galley_protocol::close_code::{CloseCode, Reconnect};
use serde_json::Value;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::client_error::slug_of;
use crate::{EndCause, EndReason, OpenError};

/// A gateway's hint is believed up to this.
const MAX_HINT: Duration = Duration::from_mins(10);

/// Why there is no connection, and whether and when to come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketVerdict {
    /// Why.
    pub why: EndReason,
    /// Whether to come back.
    pub advice: Reconnect,
    /// The gateway asked to stay away for so long.
    pub at_least: Duration,
}

impl SocketVerdict {
    pub(crate) fn new(cause: EndCause, detail: impl Into<String>, advice: Reconnect) -> Self {
        let why = EndReason { cause, detail: detail.into() };
        Self { why, advice, at_least: Duration::ZERO }
    }

    /// Adds how long the gateway asked to stay away.
    #[must_use]
    pub fn after(self, at_least: Duration) -> Self {
        Self { at_least: at_least.min(MAX_HINT), ..self }
    }

    /// Judges the end of an open socket, by the frame that closed it.
    #[must_use]
    pub fn of_close(frame: Option<&CloseFrame>) -> Self {
        let Some(frame) = frame else {
            return Self::new(EndCause::Lost, "the connection broke off", Reconnect::BackOff);
        };
        let number = u16::from(frame.code);
        let Some(code) = CloseCode::ALL.into_iter().find(|code| code.code() == number) else {
            let detail = format!("the connection ended with {number}");
            return Self::new(EndCause::Lost, detail, Reconnect::BackOff);
        };
        let cause = match code {
            CloseCode::GoingAway | CloseCode::TryLater => EndCause::Busy,
            CloseCode::Restart => EndCause::Restart,
            CloseCode::Policy | CloseCode::Flooding | CloseCode::Forbidden => EndCause::Forbidden,
            CloseCode::TokenExpired | CloseCode::AuthTimeout => EndCause::Unauthorized,
            CloseCode::Normal
            | CloseCode::BadProtocol
            | CloseCode::NotText
            | CloseCode::NotUtf8
            | CloseCode::TooBig => EndCause::Refused,
        };
        let told = frame.reason.as_str();
        let detail = if told.is_empty() { code.reason() } else { told };
        Self::new(cause, detail, code.reconnect())
    }

    /// Judges a socket that could not be opened. A new token helps only if they are `renewable`; who
    /// was `welcomed` before may be trusted again.
    #[must_use]
    pub fn of_refusal(error: &OpenError, renewable: bool, welcomed: bool) -> Self {
        let later = if welcomed { Reconnect::BackOff } else { Reconnect::No };
        match error {
            OpenError::Answered { status, body, retry_after } => {
                Self::of_answer(*status, body, renewable).after(*retry_after)
            }
            OpenError::Late => Self::new(EndCause::Silent, error.to_string(), Reconnect::BackOff),
            OpenError::Failed(why) if error.is_untrusted() => Self::new(
                EndCause::Untrusted,
                format!("the gateway cannot be trusted: {why}"),
                later,
            ),
            OpenError::Failed(why) => Self::new(
                EndCause::Unreachable,
                format!("nobody answers: {why}"),
                Reconnect::BackOff,
            ),
        }
    }

    fn of_answer(status: u16, body: &str, renewable: bool) -> Self {
        let problem: Value = serde_json::from_str(body).unwrap_or_default();
        let told = problem["detail"].as_str().map(|text| format!(": {text}")).unwrap_or_default();
        let with_token = if renewable { Reconnect::NewToken } else { Reconnect::No };
        let (cause, advice) = match status {
            401 => (EndCause::Unauthorized, with_token),
            403 | 421 => (EndCause::Forbidden, Reconnect::No),
            429 | 500.. => (EndCause::Busy, Reconnect::BackOff),
            _ if slug_of(&problem) == "hero-not-found" => (EndCause::HeroNotFound, Reconnect::No),
            _ => (EndCause::Refused, Reconnect::No),
        };
        Self::new(cause, format!("the gateway answers {status}{told}"), advice)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use galley_protocol::close_code::Reconnect;
    use tokio_tungstenite::tungstenite::protocol::CloseFrame;

    use super::SocketVerdict;
    use crate::OpenError;

    #[test]
    fn every_end_has_a_cause_and_an_advice() {
        let close = |code: u16| {
            let frame = CloseFrame { code: code.into(), reason: String::new().into() };
            let verdict = SocketVerdict::of_close(Some(&frame));
            (verdict.why.cause.code(), verdict.advice)
        };
        assert_eq!(close(1012), ("restart", Reconnect::AfterHint));
        assert_eq!(close(1013), ("busy", Reconnect::BackOff));
        assert_eq!(close(1008), ("forbidden", Reconnect::No));
        assert_eq!(close(4401), ("unauthorized", Reconnect::NewToken));
        assert_eq!(close(3999), ("lost", Reconnect::BackOff));
        assert_eq!(SocketVerdict::of_close(None).why.cause.code(), "lost");
    }

    #[test]
    fn every_answer_to_a_handshake_has_a_cause_and_an_advice() {
        let answered = |status, body: &str| {
            let error = OpenError::Answered {
                status,
                body: body.to_owned(),
                retry_after: Duration::from_secs(7),
            };
            let verdict = SocketVerdict::of_refusal(&error, false, false);
            assert_eq!(verdict.at_least, Duration::from_secs(7));
            (verdict.why.cause.code(), verdict.advice)
        };
        assert_eq!(answered(401, ""), ("unauthorized", Reconnect::No));
        assert_eq!(answered(503, ""), ("busy", Reconnect::BackOff));
        assert_eq!(answered(404, "<html>"), ("refused", Reconnect::No));
        let hero = r#"{"type":"/problems/hero-not-found","detail":"there is no hero 9"}"#;
        assert_eq!(answered(404, hero), ("hero-not-found", Reconnect::No));
    }
}
