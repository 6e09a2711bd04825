//! Answers with one thing and its version.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use galley_protocol::Version;
use serde::Serialize;

use super::conditions::IfNoneMatch;

/// Answers 201 with a new thing and its location.
pub fn created(location: &str, version: Version, body: &impl Serialize) -> Response {
    let mut response = tagged(StatusCode::CREATED, version, body);
    response.headers_mut().insert(header::LOCATION, self::location(location));
    response
}

/// Answers with a thing, or 304 without a body if the caller has this version.
pub fn read(known: &IfNoneMatch, version: Version, body: &impl Serialize) -> Response {
    read_tagged(known, &version.etag(), body)
}

/// Like [`read`], for an order, which shows the name of its hero: another name is another
/// representation, and needs another tag. Until its hero is changed the tag of an order is only its
/// version.
pub fn read_with_hero(
    known: &IfNoneMatch,
    version: Version,
    hero: Version,
    body: &impl Serialize,
) -> Response {
    let tag = if hero == Version::FIRST { version.etag() } else { format!("\"{version}.{hero}\"") };
    read_tagged(known, &tag, body)
}

fn read_tagged(known: &IfNoneMatch, tag: &str, body: &impl Serialize) -> Response {
    let tagged = [(header::ETAG, HeaderValue::try_from(tag).expect("an entity tag is ASCII"))];
    if known.has(tag) {
        return (StatusCode::NOT_MODIFIED, tagged).into_response();
    }
    (tagged, Json(body)).into_response()
}

/// Answers 200 with a thing, after a change or unchanged.
pub fn changed(version: Version, body: &impl Serialize) -> Response {
    tagged(StatusCode::OK, version, body)
}

/// Returns one of our paths as a header value.
pub fn location(path: &str) -> HeaderValue {
    HeaderValue::try_from(path).expect("our paths are ASCII")
}

fn tagged(status: StatusCode, version: Version, body: &impl Serialize) -> Response {
    (status, [(header::ETAG, etag(version))], Json(body)).into_response()
}

fn etag(version: Version) -> HeaderValue {
    HeaderValue::try_from(version.etag()).expect("an entity tag is ASCII")
}
