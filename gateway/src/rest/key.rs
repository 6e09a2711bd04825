//! The `Idempotency-Key` of a request.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use galley_protocol::{IdempotencyKey, Problem};

use crate::http::Refusal;

/// The header.
const HEADER: &str = "Idempotency-Key";

/// The key under which a caller may repeat its request, when it names one.
pub struct Key(pub Option<IdempotencyKey>);

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let wrong = |detail: &dyn ToString| Refusal(Problem::invalid_parameter(HEADER, &detail.to_string()));
        let mut lines = parts.headers.get_all(HEADER).iter();
        match (lines.next(), lines.next()) {
            (None, _) => Ok(Self(None)),
            (Some(line), None) => {
                let text = line.to_str().map_err(|_| wrong(&"must be visible ASCII characters"))?;
                IdempotencyKey::parse(text).map(|key| Self(Some(key))).map_err(|error| wrong(&error))
            }
            (Some(_), Some(_)) => Err(wrong(&"must not be repeated")),
        }
    }
}
