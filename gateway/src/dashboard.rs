//! The files of the dashboard, embedded in the program.

use std::borrow::Cow;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use galley_protocol::{Problem, ProblemType};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::web::Refusal;

/// The content security policy of the page: nothing is loaded from other origins.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

#[derive(RustEmbed)]
#[folder = "../clients/dashboard/dist"]
struct Files;

pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let serve = get(async |uri: Uri, headers: HeaderMap| serve(uri.path(), &headers));
    Router::new().route("/", serve.clone()).route("/assets/{*path}", serve)
}

fn serve(path: &str, headers: &HeaderMap) -> Response {
    let path = if path == "/" { "index.html" } else { path.trim_start_matches('/') };
    let Some(EmbeddedFile { data, metadata }) = Files::get(path) else {
        return Refusal(Problem::new(ProblemType::NotFound)).into_response();
    };
    let etag = metadata
        .sha256_hash()
        .iter()
        .fold(String::from("\""), |etag, byte| etag + &format!("{byte:02x}"))
        + "\"";
    let fresh =
        headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let mut response =
        if fresh { StatusCode::NOT_MODIFIED.into_response() } else { bytes(data).into_response() };
    let headers = response.headers_mut();
    headers.insert(
        header::ETAG,
        HeaderValue::try_from(etag).expect("hexadecimal digits in quotes are a header value"),
    );
    // The browser asks with the `ETag` each time, so that it never shows an old release.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(path)));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

/// Converts a file to a body, without a copy if it is embedded: copies for clients that do not read
/// would fill the memory.
pub fn bytes(file: Cow<'static, [u8]>) -> Bytes {
    match file {
        Cow::Borrowed(embedded) => Bytes::from_static(embedded),
        Cow::Owned(read) => read.into(),
    }
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
