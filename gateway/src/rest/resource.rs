//! Answers that carry one thing and its version.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use galley_protocol::Version;
use serde::Serialize;

use super::conditions::IfNoneMatch;

/// It was created, and is there.
pub fn created(location: &str, version: Version, body: &impl Serialize) -> Response {
    let mut response = tagged(StatusCode::CREATED, version, body);
    response.headers_mut().insert(header::LOCATION, self::location(location));
    response
}

/// It was read; the body is left out when the caller has this version.
pub fn read(known: &IfNoneMatch, version: Version, body: &impl Serialize) -> Response {
    read_tagged(known, &version.etag(), body)
}

/// The same with the hero's name in it: another name is another representation, and needs another
/// tag. Until its hero is changed the tag of an order is its version alone.
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

/// It was changed, or is shown as it is.
pub fn changed(version: Version, body: &impl Serialize) -> Response {
    tagged(StatusCode::OK, version, body)
}

/// A path of ours as a header.
pub fn location(path: &str) -> HeaderValue {
    HeaderValue::try_from(path).expect("our paths are ASCII")
}

fn tagged(status: StatusCode, version: Version, body: &impl Serialize) -> Response {
    (status, [(header::ETAG, etag(version))], Json(body)).into_response()
}

fn etag(version: Version) -> HeaderValue {
    HeaderValue::try_from(version.etag()).expect("an entity tag is ASCII")
}
