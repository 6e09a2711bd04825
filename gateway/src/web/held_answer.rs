//! The counting of answers that are on their way: a client that reads nothing holds them in memory.
//! Answers that are the same for everybody are in memory anyway, and are not counted.

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;

use crate::limits::{Address, CallerKey};
use crate::state::AppState;

/// The longest answer that does not count, in bytes.
const SHORT: u64 = 4 * 1_024;

/// Counts a long answer in JSON for its caller until the connection has taken it.
pub async fn hold(state: &AppState, address: Address, response: Response) -> Response {
    let is_long = response.body().size_hint().exact().is_some_and(|length| length > SHORT);
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !is_long || kind != Some(b"application/json") {
        return response;
    }
    let (head, body) = response.into_parts();
    let key = head.extensions.get().copied().unwrap_or(CallerKey::Address(address));
    let bytes = to_bytes(body, usize::MAX).await.expect("a body of known length is in memory");
    Response::from_parts(head, Body::from(state.limits.unread.hold(key, bytes)))
}
