//! The `Idempotency-Key` of a request, and what an answer says of it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use galley_protocol::{IdempotencyKey, Problem, ProblemType};
use galley_store::Creation;

use crate::web::Refusal;

/// The header.
const HEADER: &str = "Idempotency-Key";

/// Says that what a request asked for was already there under its key.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The answer to a repetition.
pub fn replayed(mut answer: Response) -> Response {
    answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    answer
}

/// The answer to a key that came before with another body.
fn reused(what: &str) -> Problem {
    Problem::new(ProblemType::IdempotencyKeyReused)
        .with_detail(format!("this Idempotency-Key came before with another {what}"))
}

/// The answer to a creation under a key, given the one that a new thing gets.
pub fn created_once<T>(
    creation: Creation<T>,
    what: &str,
    answer: impl Fn(T) -> Response,
) -> Result<Response, Refusal> {
    match creation {
        Creation::Created(thing) => Ok(answer(thing)),
        Creation::Replayed(thing) => Ok(replayed(answer(thing))),
        Creation::KeyReused => Err(reused(what).into()),
    }
}

/// The key under which a caller may repeat its request, when it names one.
pub struct Key(pub Option<IdempotencyKey>);

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let wrong = |detail: &dyn ToString| {
            Refusal(Problem::invalid_parameter(HEADER, &detail.to_string()))
        };
        let mut lines = parts.headers.get_all(HEADER).iter();
        match (lines.next(), lines.next()) {
            (None, _) => Ok(Self(None)),
            (Some(line), None) => {
                let text = line.to_str().map_err(|_| wrong(&"must be visible ASCII characters"))?;
                IdempotencyKey::parse(text)
                    .map(|key| Self(Some(key)))
                    .map_err(|error| wrong(&error))
            }
            (Some(_), Some(_)) => Err(wrong(&"must not be repeated")),
        }
    }
}
