//! HTTP below the handlers: the accept loop, what is the same for every request, and the one way a problem goes out.
//!
//! Every answer above hyper's parser – an unknown path, a wrong method, a panic – is made here or in a handler, and every one
//! that is an error is a problem. What hyper cannot read as HTTP/1 gets hyper's own 400 or 431, which [`bare`] makes a problem as well.

mod bare;
mod line;
mod observe;
mod panic;
mod refusal;
mod serve;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, Method, Uri, header};
use axum::middleware::{from_fn, from_fn_with_state};
use galley_protocol::{Problem, ProblemType};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::limits::Allowances;
use crate::limits::allowances::allow;
pub use line::Line;
pub use refusal::Refusal;
pub use serve::{Cut, serve};

/// The most bytes of a request body; beyond: 413.
pub const MAX_BODY: usize = 64 * 1024;

/// Puts around the routes of `router` what is the same for all of them: an id and a line in the log for each request, problems
/// for unknown paths and methods and for panics, the bounds of bodies and, if any, of requests from one address. To be called when every route is there, and
/// no other fallback.
pub fn layers<S: Clone + Send + Sync + 'static>(router: Router<S>, allowances: Option<Arc<Allowances>>) -> Router<S> {
    let router = router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(CatchPanicLayer::custom(panic::answer));
    let router = match allowances {
        Some(allowances) => router.layer(from_fn_with_state(allowances, allow)),
        None => router,
    };
    router
        .layer(SetResponseHeaderLayer::if_not_present(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .layer(from_fn(observe::observe))
}

async fn not_found(uri: Uri) -> Refusal {
    let path = uri.path();
    let shown = &path[..path.floor_char_boundary(MAX_SHOWN)];
    Problem::new(ProblemType::NotFound).with_detail(format!("nothing is at {shown}")).into()
}

/// The router adds `Allow`.
async fn method_not_allowed(method: Method) -> Refusal {
    let method = method.as_str();
    let shown = &method[..method.floor_char_boundary(MAX_SHOWN)];
    Problem::new(ProblemType::MethodNotAllowed).with_detail(format!("{shown} is not allowed here; `Allow` lists what is")).into()
}

/// The most bytes of a path or a method that are shown back or logged.
const MAX_SHOWN: usize = 200;

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::Request;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::layers;

    #[tokio::test]
    async fn a_handler_that_panics_answers_a_problem_that_does_not_say_why() {
        let app: Router = layers(Router::new().route("/panic", get(async || -> &'static str { panic!("the secret") })), None);
        let request = Request::get("/panic").header("x-request-id", "seven").body(Body::empty()).expect("a request");
        let response = app.oneshot(request).await.expect("an answer");
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["x-request-id"], "seven");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        let body = axum::body::to_bytes(response.into_body(), 4_096).await.expect("a short body");
        let body = String::from_utf8(body.to_vec()).expect("text");
        assert!(body.contains("/problems/internal") && !body.contains("secret"), "{body}");
    }
}
