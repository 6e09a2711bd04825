//! Temporary refusals of event streams, in a form after which a browser retries.
//!
//! An `EventSource` treats any answer but 200 as final, and its page never learns the reason. A
//! refused request for an event stream is therefore answered with one: the time after which to
//! retry, the problem as an `error` event, and the end. Permanent refusals stay as they are, and so
//! do all refusals of clients with another `Accept`.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use rand::RngExt as _;
use serde_json::{Value, json};

use super::MAX_BODY;

const STREAMS: [&str; 2] = ["/events", "/heroes/{id}/events"];
/// Header that makes proxies such as nginx pass on every event at once.
pub const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
const EVENT_STREAM: &str = "text/event-stream";
/// Wait if the refusal names none.
const RETRY: Duration = Duration::from_secs(1);

pub async fn soften(request: Request, next: Next) -> Response {
    if !wants_stream(request.headers()) || !is_stream(&request) {
        return next.run(request).await;
    }
    let response = next.run(request).await;
    if !matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
    {
        return response;
    }
    let problem = to_bytes(response.into_body(), MAX_BODY).await.unwrap_or_default();
    let problem = serde_json::from_slice(&problem).unwrap_or(Value::Null);
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    let fresh = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    ([kind, fresh, UNBUFFERED], Body::from(refusal(&problem))).into_response()
}

fn is_stream(request: &Request) -> bool {
    request.extensions().get::<MatchedPath>().is_some_and(|path| STREAMS.contains(&path.as_str()))
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let ranges = lines
        .flat_map(|line| line.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim());
    ranges.into_iter().any(|range| range.eq_ignore_ascii_case(EVENT_STREAM))
}

/// Returns the event of a refusal. Many clients may be refused at once: each retries at a random
/// moment, not before the time that the problem names.
fn refusal(problem: &Value) -> String {
    let wait = problem["retry_after_ms"].as_u64().map_or(RETRY, Duration::from_millis);
    let retry = wait.mul_f64(rand::rng().random_range(1.0..1.5)).as_millis();
    let frame = json!({"type": "error", "problem": problem});
    format!("event: error\nretry: {retry}\ndata: {frame}\n\n")
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};
    use serde_json::json;

    use super::{refusal, wants_stream};

    #[test]
    fn only_who_asks_for_a_stream_by_name_gets_one() {
        let wants = |lines: &[&'static str]| {
            let lines = lines.iter().map(|line| (header::ACCEPT, HeaderValue::from_static(line)));
            wants_stream(&lines.collect::<HeaderMap>())
        };
        assert!(wants(&["text/event-stream"]) && wants(&["text/html, TEXT/Event-Stream;q=0.5"]));
        assert!(!wants(&[]) && !wants(&["*/*", "text/*", "application/json"]));
        let both = [
            HeaderValue::from_static("application/json"),
            HeaderValue::from_static("text/event-stream"),
        ];
        let mut headers = HeaderMap::new();
        for line in both {
            headers.append(header::ACCEPT, line);
        }
        assert!(wants_stream(&headers));
    }

    #[test]
    fn a_refusal_names_the_wait_and_the_problem() {
        let text = refusal(&json!({"status": 503, "retry_after_ms": 2_000}));
        let (head, rest) = text.split_once("\nretry: ").expect("a wait");
        let (wait, data) = rest.split_once('\n').expect("more");
        assert_eq!(head, "event: error");
        assert!((2_000..3_000).contains(&wait.parse::<u32>().expect("a number")), "{text}");
        assert_eq!(
            data,
            "data: {\"problem\":{\"retry_after_ms\":2000,\"status\":503},\"type\":\"error\"}\n\n"
        );
    }
}
