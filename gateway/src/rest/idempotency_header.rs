//! The `Idempotency-Key` header of a request, and the header that marks a repeated answer.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use galley_protocol::{IdempotencyKey, Problem, ProblemType, Sentence};
use galley_store::Creation;

use crate::web::Refusal;

pub const HEADER: &str = "Idempotency-Key";

/// The header of an answer to a repeated request: the resource already existed under its key.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

pub fn replayed(mut answer: Response) -> Response {
    answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    answer
}

/// Returns the problem of a key that was used before with another body.
fn reused(detail: Sentence) -> Problem {
    Problem::new(ProblemType::IdempotencyKeyReused).with_detail(detail)
}

/// Returns the answer to a creation under a key. `answer` makes the answer that shows the resource.
pub fn created_once<T>(
    creation: Creation<T>,
    reused_key: Sentence,
    answer: impl Fn(T) -> Response,
) -> Result<Response, Refusal> {
    match creation {
        Creation::Created(thing) => Ok(answer(thing)),
        Creation::Replayed(thing) => Ok(replayed(answer(thing))),
        Creation::KeyReused => Err(reused(reused_key).into()),
    }
}

/// The key under which a caller may repeat its request, if any.
pub struct IdempotencyHeader(pub Option<IdempotencyKey>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyHeader {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let wrong = |detail: Sentence| Refusal(Problem::invalid_parameter(HEADER, detail));
        let mut lines = parts.headers.get_all(HEADER).iter();
        match (lines.next(), lines.next()) {
            (None, _) => Ok(Self(None)),
            (Some(line), None) => {
                let text = line.to_str().map_err(|_| wrong(Sentence::NotVisible))?;
                IdempotencyKey::parse(text)
                    .map(|key| Self(Some(key)))
                    .map_err(|error| wrong(error.into()))
            }
            (Some(_), Some(_)) => Err(wrong(Sentence::Repeated)),
        }
    }
}
