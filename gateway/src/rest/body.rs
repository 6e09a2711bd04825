//! Request bodies: JSON in UTF-8, bounded in bytes and in time, read field by field.

use std::time::Duration;

use axum::body::{Bytes, HttpBody as _};
use axum::extract::{FromRequest, OptionalFromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use galley_protocol::strict::Strict;
use galley_protocol::{HeroPatch, MealPatch, NewHero, NewMeal, Problem, ProblemType, Sentence};
use tokio::time::timeout;

use super::idempotency_header::HEADER;
use crate::limits;
use crate::state::AppState;
use crate::web::{Caller, MAX_BODY, Refusal};

/// The longest time in which a body may arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

pub trait FromJson: Sized {
    /// True if `application/merge-patch+json` is accepted besides `application/json`.
    const MERGE_PATCH: bool = false;

    /// The problem names every wrong field.
    fn from_json(body: Strict) -> Result<Self, Problem>;
}

macro_rules! from_json {
    ($($name:ident, merge patch: $merge_patch:literal;)*) => {$(
        impl FromJson for $name {
            const MERGE_PATCH: bool = $merge_patch;

            fn from_json(body: Strict) -> Result<Self, Problem> {
                Self::from_json(body)
            }
        }
    )*};
}

from_json! {
    NewHero, merge patch: false;
    HeroPatch, merge patch: true;
    NewMeal, merge patch: false;
    MealPatch, merge patch: true;
}

/// A JSON body. As an `Option` it is `None` for an empty body, whatever its media type, and for
/// `null`.
pub struct JsonBody<T>(pub T);

impl<T: FromJson> FromRequest<AppState> for JsonBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Refusal> {
        check_media::<T>(request.headers())?;
        let body = receive_and_charge(request, state).await?;
        Ok(Self(T::from_json(parse(&body)?)?))
    }
}

impl<T: FromJson> OptionalFromRequest<AppState> for JsonBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &AppState) -> Result<Option<Self>, Refusal> {
        let media = check_media::<T>(request.headers());
        if length(&request) > 0 {
            media.clone()?;
        }
        let body = receive_and_charge(request, state).await?;
        if body.is_empty() {
            return Ok(None);
        }
        media?;
        let value = parse(&body)?;
        if value.is_null() { Ok(None) } else { Ok(Some(Self(T::from_json(value)?))) }
    }
}

/// Reads the body, and charges it with the other texts of the request that may be stored: the key
/// and the query. Without authentication nobody pays.
async fn receive_and_charge(request: Request, state: &AppState) -> Result<Bytes, Problem> {
    let caller = request.extensions().get::<Caller>().and_then(|caller| caller.token_key());
    let key = request.headers().get(HEADER).map_or(0, HeaderValue::len);
    let others = key + request.uri().query().map_or(0, str::len);
    let body = receive(request).await?;
    if let Some(caller) = caller {
        state.limits.write(caller, body.len() + others)?;
    }
    Ok(body)
}

/// Reads the body. One that is announced as too large is not asked for (`Expect: 100-continue`).
async fn receive(request: Request) -> Result<Bytes, Problem> {
    if length(&request) > MAX_BODY as u64 {
        return Err(too_large());
    }
    match timeout(BODY_TIMEOUT, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(too_large())
        }
        Ok(Err(_)) => {
            Err(Problem::new(ProblemType::MalformedJson).with_detail(Sentence::BodyEnded))
        }
        Err(_) => {
            limits::count("body-time");
            Err(Problem::new(ProblemType::RequestTimeout).with_detail(Sentence::BodyTimeout))
        }
    }
}

/// The length of a body by its head, at least.
fn length(request: &Request) -> u64 {
    request.body().size_hint().lower()
}

fn too_large() -> Problem {
    limits::count("body");
    Problem::new(ProblemType::BodyTooLarge).with_detail(Sentence::BodyTooLarge(MAX_BODY))
}

fn parse(body: &[u8]) -> Result<Strict, Problem> {
    Strict::read(body).map_err(|error| {
        Problem::new(ProblemType::MalformedJson)
            .with_detail(Sentence::BodyNotJson(error.to_string()))
    })
}

fn check_media<T: FromJson>(headers: &HeaderMap) -> Result<(), Problem> {
    let unsupported =
        |detail| Err(Problem::new(ProblemType::UnsupportedMediaType).with_detail(detail));
    if headers.contains_key(header::CONTENT_ENCODING) {
        return unsupported(Sentence::ContentEncoding);
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let named = match (types.next(), types.next()) {
        (Some(named), None) => named.to_str().unwrap_or_default(),
        _ => "",
    };
    if is_json(named, T::MERGE_PATCH) {
        Ok(())
    } else if T::MERGE_PATCH {
        unsupported(Sentence::NotPatchType)
    } else {
        unsupported(Sentence::NotJsonType)
    }
}

/// Returns true if a content type (RFC 9110 section 8.3) is JSON. The only parameter that it may
/// have is `charset=utf-8`.
fn is_json(content_type: &str, merge_patch: bool) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let named = parts.next().unwrap_or_default();
    let known = named.eq_ignore_ascii_case("application/json")
        || (merge_patch && named.eq_ignore_ascii_case("application/merge-patch+json"));
    let is_utf8 = |parameter: &str| {
        parameter.eq_ignore_ascii_case("charset=utf-8")
            || parameter.eq_ignore_ascii_case("charset=\"utf-8\"")
    };
    known && parts.all(|parameter| parameter.is_empty() || is_utf8(parameter))
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, Bytes};
    use axum::extract::Request;
    use futures_util::stream::pending;
    use galley_protocol::ProblemType;

    use super::{is_json, receive};

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let body = Body::from_stream(pending::<Result<Bytes, std::io::Error>>());
        let request = Request::post("/heroes")
            .header("content-type", "application/json")
            .body(body)
            .expect("a request");
        let problem = receive(request).await.expect_err("a refusal");
        assert_eq!(problem.kind, ProblemType::RequestTimeout);
    }

    #[test]
    fn json_has_few_names() {
        for named in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=UTF-8",
            "application/json ; charset=\"utf-8\"",
            "application/json;",
        ] {
            assert!(is_json(named, false), "{named}");
        }
        for named in [
            "",
            "text/plain",
            "application/jsonp",
            "application/json; charset=latin1",
            "application/json; charset",
            "application/problem+json",
            "application/merge-patch+json",
        ] {
            assert!(!is_json(named, false), "{named}");
        }
        assert!(is_json("application/merge-patch+json; charset=utf-8", true));
    }
}
