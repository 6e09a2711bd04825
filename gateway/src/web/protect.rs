//! The protection of browsers around every route: the check of the origin, and headers that
//! restrict what browsers do with an answer.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use galley_protocol::{Problem, ProblemType};

use super::Refusal;
use crate::http::origin::{From, allow, preflight};
use crate::refusals::Cause;
use crate::state::AppState;

/// Headers of every answer, unless a handler has set them. There is no `Strict-Transport-Security`:
/// it is up to the proxy that terminates TLS, and over plain HTTP it means nothing (RFC 6797
/// section 7.2).
const HEADERS: [(HeaderName, HeaderValue); 8] = [
    // Answers are data: a browser that shows one nevertheless runs nothing in it.
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    // The answer depends on the origin.
    (header::VARY, HeaderValue::from_static("origin")),
];

/// Refuses pages of origins that are not allowed, lets pages of listed ones read the answer, and
/// adds the headers.
pub async fn protect(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let mut response = match state.origins.of(request.uri(), request.headers()) {
        From::Nowhere | From::Here => next.run(request).await,
        From::Listed => answer_listed(request, next).await,
        From::Elsewhere => {
            state.refusals.count(Cause::Origin);
            let detail = "pages of this origin may not speak to this service; GALLEY_ALLOWED_ORIGINS lists those that may";
            Refusal(Problem::new(ProblemType::Forbidden).with_detail(detail)).into_response()
        }
    };
    // An upgrade has no content that a browser could show.
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        add_headers(response.headers_mut());
    }
    response
}

async fn answer_listed(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let origin = head.headers.get(header::ORIGIN).cloned();
    let mut response = match preflight(&head) {
        Some(answer) => answer,
        None => next.run(Request::from_parts(head, body)).await,
    };
    if let Some(origin) = origin {
        allow(response.headers_mut(), origin);
    }
    response
}

fn add_headers(headers: &mut HeaderMap) {
    headers.reserve(HEADERS.len());
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
}
