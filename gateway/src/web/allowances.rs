//! The limit on the requests of one address, `GALLEY_REST_RATE`.
//!
//! The layer runs for every request if there is such a limit, and is not installed if there is
//! none. Health checks are never refused.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use galley_protocol::Sentence;

use super::Refusal;
use crate::http::base_path::HEALTH_CHECKS;
use crate::http::entrance::Outside;
use crate::limits::rate::RateVerdict;
use crate::limits::{Address, Meters, RateLimit, count, too_fast};

/// Header fields of the draft "`RateLimit` header fields for HTTP" of the IETF's working group
/// httpapi.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Answers 429 if the address has used up its rate. Every answer shows how much is left.
pub async fn allow(
    State(allowances): State<Arc<Meters<Address>>>,
    Extension(Outside { address, .. }): Extension<Outside>,
    request: Request,
    next: Next,
) -> Response {
    if HEALTH_CHECKS.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let rate = allowances.rate();
    match allowances.take(Address::from(address), 1) {
        RateVerdict::Taken { left, whole_in } => {
            let mut response = next.run(request).await;
            add_headers(response.headers_mut(), rate, left, whole_in);
            response
        }
        RateVerdict::Wait(wait) => {
            count("rest");
            let mut response = Refusal(too_fast(Sentence::TooManyRequests, wait)).into_response();
            add_headers(response.headers_mut(), rate, 0, wait);
            response
        }
    }
}

fn add_headers(headers: &mut HeaderMap, rate: RateLimit, left: u32, reset: Duration) {
    let seconds = |time: Duration| time.as_nanos().div_ceil(1_000_000_000);
    let policy = format!("\"address\";q={};w={}", rate.burst(), seconds(rate.window()));
    let limit = format!("\"address\";r={left};t={}", seconds(reset));
    headers.insert(POLICY, HeaderValue::try_from(policy).expect("ASCII"));
    headers.insert(LIMIT, HeaderValue::try_from(limit).expect("ASCII"));
}
