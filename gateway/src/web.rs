//! What REST and sockets share of HTTP: the layers around every route, who asks, and the one way a
//! problem goes out.
//!
//! Every answer above hyper's parser – an unknown path, a wrong method, a panic – is made here or
//! in a handler, and every one that is an error is a problem.

mod allowances;
mod caller;
pub mod conditions;
mod content_coding;
pub mod guard;
mod held_answer;
mod message_rules;
pub mod observe;
mod panic;
mod protect;
pub mod query;
mod refusal;
pub mod refused_stream;
pub mod request_identity;
pub mod spoken;
pub mod static_file;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use galley_protocol::{Problem, ProblemType, Sentence};
use tower_http::catch_panic::CatchPanicLayer;

use crate::limits::Meters;
use crate::state::AppState;
use allowances::allow;
pub use caller::Caller;
pub use observe::named as named_trace;
pub use refusal::Refusal;

/// The most bytes of a request body; beyond: 413.
pub const MAX_BODY: usize = 64 * 1024;

/// Puts around the routes of `router` what is the same for all of them: an id and a line in the log
/// for each request, problems for unknown paths and methods and for panics, the bounds of bodies
/// and of requests from one address, the check of the origin and the headers that protect browsers.
/// To be called when every route is there, and no other fallback.
pub fn layers(router: Router<AppState>, state: &AppState) -> Router<AppState> {
    let router = router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        // Together, the outer one first: each call of `layer` puts the routes into one more box,
        // which is cloned for every request.
        .layer((CatchPanicLayer::custom(panic::answer), DefaultBodyLimit::max(MAX_BODY)));
    let rest_rate = state.config.rest_rate;
    let router = if rest_rate.is_unlimited() {
        router
    } else {
        router.layer(from_fn_with_state(Arc::new(Meters::new(rest_rate)), allow))
    };
    let softened = from_fn(refused_stream::soften);
    router.layer((
        from_fn_with_state(state.clone(), observe::observe),
        from_fn_with_state(state.clone(), message_rules::apply),
        from_fn_with_state(state.clone(), protect::protect),
        softened,
    ))
}

async fn not_found(method: Method, uri: Uri) -> Response {
    let path = uri.path();
    if method == Method::OPTIONS && path == "*" {
        let all = HeaderValue::from_static("GET,HEAD,POST,PUT,PATCH,DELETE");
        return (StatusCode::NO_CONTENT, [(header::ALLOW, all)]).into_response();
    }
    let shown = &path[..path.floor_char_boundary(MAX_SHOWN)];
    let problem = Problem::new(ProblemType::NotFound);
    Refusal(problem.with_detail(Sentence::NothingAt(shown.to_owned()))).into_response()
}

/// The router adds `Allow`.
async fn method_not_allowed(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let method = method.as_str();
    let shown = &method[..method.floor_char_boundary(MAX_SHOWN)];
    let problem = Problem::new(ProblemType::MethodNotAllowed)
        .with_detail(Sentence::MethodNotAllowed(shown.to_owned()));
    Refusal(problem).into_response()
}

/// Answers `OPTIONS` of a path with one route for every method.
pub async fn only_get() -> Response {
    (StatusCode::NO_CONTENT, [(header::ALLOW, HeaderValue::from_static("GET"))]).into_response()
}

/// The most bytes of a path or a method that are shown back or logged.
const MAX_SHOWN: usize = 200;
