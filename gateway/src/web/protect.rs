//! The protection of browsers around every route: the check of the origin, and headers that
//! restrict what browsers do with an answer.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use galley_protocol::{Problem, ProblemType, Sentence};

use super::{MAX_SHOWN, Refusal};
use crate::http::base_path::{HEALTH_CHECKS, Place};
use crate::http::entrance::Outside;
use crate::http::origin::{From, allow, is_cross_site, preflight};
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

/// Refuses requests for other hosts, and pages of origins that are not allowed, lets pages of
/// listed ones read the answer, and adds the headers.
pub async fn protect(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let mut response = match check(&state, &request) {
        Ok(_) if is_bare(&request) => {
            let query = request.uri().query().map_or(String::new(), |query| format!("?{query}"));
            Redirect::permanent(&format!("/{query}")).into_response()
        }
        Ok(From::Listed) => answer_listed(request, next).await,
        Ok(From::Nowhere | From::Here | From::Elsewhere) => next.run(request).await,
        Err(problem) => Refusal(problem).into_response(),
    };
    state.entrance.base.leave(response.headers_mut());
    // An upgrade has no content that a browser could show.
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        add_headers(response.headers_mut());
    }
    response
}

/// Checks that the request names a host and a path of this service, and the origin of its page.
fn check(state: &AppState, request: &Request) -> Result<From, Problem> {
    let outside = request.extensions().get::<Outside>();
    let outside = outside.ok_or_else(|| Problem::new(ProblemType::Internal))?;
    let path = request.uri().path();
    let host = outside.host.as_ref().filter(|_| !HEALTH_CHECKS.contains(&path));
    if host.is_some_and(|host| !state.hosts.allows(host)) {
        state.refusals.count(Cause::Host);
        return Err(Problem::new(ProblemType::MisdirectedRequest).with_detail(Sentence::OtherHost));
    }
    let from = state.origins.of(outside, request.headers());
    // With tokens, a page without one can do nothing.
    let is_foreign = from == From::Nowhere
        && state.verifier.is_none()
        && is_cross_site(request.method(), request.headers());
    if from == From::Elsewhere || is_foreign {
        state.refusals.count(Cause::Origin);
        return Err(Problem::new(ProblemType::Forbidden).with_detail(Sentence::OtherOrigin));
    }
    if outside.place == Place::Elsewhere {
        let shown = &path[..path.floor_char_boundary(MAX_SHOWN)];
        let base = state.entrance.base.as_str().to_owned();
        let detail = Sentence::NothingOutside(shown.to_owned(), base);
        return Err(Problem::new(ProblemType::NotFound).with_detail(detail));
    }
    Ok(from)
}

fn is_bare(request: &Request) -> bool {
    request.extensions().get::<Outside>().is_some_and(|outside| outside.place == Place::Bare)
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
