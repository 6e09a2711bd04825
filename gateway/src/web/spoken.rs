//! The language of the reader: the choice of it, and the answers that depend on it.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use galley_protocol::Language;
use serde::Serialize;

use super::query::Pairs;
use super::request_identity::language;

/// The parameter of sockets and event streams that names their language before `Accept-Language`,
/// which pages cannot set there.
pub const LANG: &str = "lang";

/// Orders, or another text of the service, as JSON in the language of the reader.
pub struct Spoken<T>(pub T);

impl<T: Serialize> IntoResponse for Spoken<T> {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.0).expect("an answer has only string keys");
        let body = language().messages_in(&body).unwrap_or(body);
        let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let mut response = (kind, body).into_response();
        mark(response.headers_mut());
        response
    }
}

/// Marks an answer as one in the language of the reader.
pub fn mark(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language().code()));
    headers.insert(header::VARY, HeaderValue::from_static("origin, accept-language"));
}

/// Returns the language that a request asks for, or English.
pub fn asked(headers: &HeaderMap, query: Option<&str>) -> Language {
    let named = query.filter(|query| query.contains(LANG)).and_then(|query| {
        let named = Pairs::decode(query).one(LANG, str::parse::<String>)?;
        Language::accepted(&named)
    });
    let accepted = || {
        let lines = headers.get_all(header::ACCEPT_LANGUAGE).iter();
        let ranges: Vec<&str> = lines.filter_map(|line| line.to_str().ok()).collect();
        // Several lines are one list (RFC 9110 section 5.3).
        if ranges.is_empty() { None } else { Language::accepted(&ranges.join(",")) }
    };
    named.or_else(accepted).unwrap_or_default()
}
