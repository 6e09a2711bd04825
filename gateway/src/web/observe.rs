//! The id of each request, its line in the log, its span, its count and its latency.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use galley_bus::LogLimiter;
use galley_protocol::TraceContext;
use galley_telemetry::{Span, SpanKind, sample};
use tracing::Instrument as _;
use tracing::field::display;

use super::MAX_SHOWN;
use super::request_identity::{RequestIdentity, within};
use super::spoken;
use crate::http::base_path::HEALTH_CHECKS;
use crate::http::entrance::Outside;
use crate::limits::{Address, CallerKey};
use crate::metrics;
use crate::state::AppState;

/// Id of a request, from the caller or generated. It is sent back with the answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The span of the caller (W3C Trace Context).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Maximum length of a caller's id in characters. A longer one is replaced.
const MAX_REQUEST_ID: usize = 64;
/// Route of a request that no route matches, in the metrics.
const UNMATCHED: &str = "unmatched";
/// Route of sockets.
pub const SOCKETS: &str = "/ws";

/// Limits the lines about failures in the log: they are counted in the metrics and answered with
/// their reason, so that one line for many is enough.
static FAILURES: LogLimiter = LogLimiter::new();

/// Runs a request in a span that carries its id, and counts its answer. Logs ids, the caller's
/// address and the path, never the query, headers or a body.
pub async fn observe(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request_id(request.headers());
    let method = method(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let language = spoken::asked(request.headers(), request.uri().query());
    let mut step = traced(&state, &request, method, route.as_ref());
    let trace = step.as_ref().map(Span::context);
    let path = request.uri().path();
    let path = &path[..path.floor_char_boundary(MAX_SHOWN)];
    let address = request.extensions().get::<Outside>().map(|outside| display(outside.address));
    let span = tracing::info_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        trace_id = trace.map(|trace| display(trace.trace_id)),
        address,
        method,
        path
    );
    if let Some(step) = &mut step {
        step.set("galley.request.id", id.to_str().unwrap_or_default().to_owned());
    }
    let answer = next.run(request).instrument(span.clone());
    let (id, mut response) = within(RequestIdentity { id, trace, language }, answer).await;

    let took = began.elapsed();
    let status = response.status();
    span.in_scope(|| {
        let millis = took.as_secs_f64() * 1_000.0;
        let status = status.as_u16();
        if let Some(more) = (status >= 500).then(|| FAILURES.now()).flatten() {
            tracing::info!(
                status,
                millis,
                more,
                "answered with a failure; `more` others since the last such line"
            );
        } else {
            tracing::debug!(status, millis, "answered");
        }
    });
    if let Some(mut step) = step {
        step.set("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            step.fail(status.to_string());
        }
    }
    let route = route.map_or_else(|| UNMATCHED.to_owned(), |route| route.as_str().to_owned());
    let labels = labels(method, route, class(status));
    ::metrics::counter!(metrics::REQUESTS, &labels).increment(1);
    ::metrics::histogram!(metrics::REQUEST_SECONDS, &labels).record(took);

    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// Registers the series of an operation with the value 0, of each class of status that it answers
/// with, so that a rate sees the first request.
pub fn expect(method: &'static str, route: &str) {
    let classes: &[&str] = match (method, route) {
        (_, UNMATCHED) => &["4xx"],
        (_, SOCKETS) => &["1xx", "4xx", "5xx"],
        // A redirection, or an answer to `If-None-Match`.
        ("GET", _) => &["2xx", "3xx", "4xx", "5xx"],
        _ => &["2xx", "4xx", "5xx"],
    };
    for class in classes {
        let labels = labels(method, route.to_owned(), class);
        ::metrics::counter!(metrics::REQUESTS, &labels).increment(0);
        drop(::metrics::histogram!(metrics::REQUEST_SECONDS, &labels));
    }
}

/// Registers the series of the requests that no route matches.
pub fn expect_unmatched() {
    expect("GET", UNMATCHED);
}

type Labels = [(&'static str, ::metrics::SharedString); 3];

fn labels(method: &'static str, route: String, class: &'static str) -> Labels {
    [("method", method.into()), ("route", route.into()), ("status", class.into())]
}

/// Begins the span of a request, if its trace is recorded. Health checks are never recorded.
fn traced(
    state: &AppState,
    request: &Request,
    method: &'static str,
    route: Option<&MatchedPath>,
) -> Option<Span> {
    let path = request.uri().path();
    if HEALTH_CHECKS.contains(&path) {
        return None;
    }
    let named = named(request.headers());
    let address = request.extensions().get::<Outside>().map(|outside| outside.address);
    let may_demand = || {
        let key = address.map(|address| CallerKey::Address(Address::from(address)));
        key.is_some_and(|key| state.limits.may_demand_trace(key))
    };
    let route = route.map_or(UNMATCHED, MatchedPath::as_str);
    let name = || format!("{method} {route}").into();
    let mut span = sample(SpanKind::Server, named.as_ref(), may_demand, name)?;
    span.set("http.request.method", method);
    span.set("http.route", route.to_owned());
    span.set("url.path", path[..path.floor_char_boundary(MAX_SHOWN)].to_owned());
    if let Some(address) = address {
        span.set("client.address", address.to_string());
    }
    Some(span)
}

/// Returns the span of the caller. A header that is repeated or cannot be read says nothing.
#[must_use]
pub fn named(headers: &HeaderMap) -> Option<TraceContext> {
    let mut lines = headers.get_all(TRACEPARENT).iter();
    match (lines.next(), lines.next()) {
        (Some(line), None) => TraceContext::parse(line.to_str().ok()?),
        _ => None,
    }
}

/// Returns the caller's id if it is short and plain, or else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    match headers.get(REQUEST_ID) {
        Some(id) if (1..=MAX_REQUEST_ID).contains(&id.len()) && id.as_bytes().iter().all(plain) => {
            id.clone()
        }
        _ => HeaderValue::try_from(format!("{:032x}", rand::random::<u128>()))
            .expect("hexadecimal digits"),
    }
}

/// Returns the label of a method. Methods without routes share one, so that callers cannot create
/// labels.
fn method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
