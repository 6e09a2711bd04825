//! The HTTP answer of a problem.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use galley_protocol::{Problem, Sentence};
use galley_store::StoreError;

use super::request_identity::{language, named};
use super::spoken;
use crate::store_problems::problem;

/// A problem as an answer: `application/problem+json`, and `Retry-After` if the problem says when
/// to retry.
#[derive(Debug)]
pub struct Refusal(pub Problem);

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self(problem(&error))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let challenge =
            (self.0.status == StatusCode::UNAUTHORIZED).then(|| challenge(&self.0.detail));
        let problem = named(self.0);
        let status = StatusCode::from_u16(problem.status)
            .expect("the table of problems holds HTTP statuses");
        let body = serde_json::to_vec(&problem).expect("a problem has only string keys");
        let body = language().messages_in(&body).unwrap_or(body);
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        spoken::mark(headers);
        if let Some(challenge) = challenge {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if status == StatusCode::REQUEST_TIMEOUT {
            // The rest of the request's body is not read, so the connection cannot be used again
            // (RFC 9110 section 15.5.9).
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(millis) = problem.retry_after_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(millis.div_ceil(1_000)));
        }
        response
    }
}

/// Returns the challenge of a request. It names an error only if there was a token (RFC 6750
/// section 3.1), in English, because it is ASCII.
fn challenge(detail: &Sentence) -> HeaderValue {
    const REALM: &str = "Bearer realm=\"galley\"";
    if *detail == Sentence::SendToken {
        return HeaderValue::from_static(REALM);
    }
    let plain = |letter: &char| matches!(letter, ' '..='~') && !matches!(letter, '"' | '\\');
    let detail: String = detail.to_string().chars().filter(plain).collect();
    HeaderValue::try_from(format!(
        "{REALM}, error=\"invalid_token\", error_description=\"{detail}\""
    ))
    .expect("printable ASCII")
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use galley_protocol::{Problem, ProblemType};
    use galley_store::{StoreError, Trouble};

    use super::Refusal;

    #[test]
    fn retry_after_is_in_whole_seconds_rounded_up() {
        for (millis, seconds) in [(0, "0"), (1, "1"), (1_000, "1"), (1_001, "2")] {
            let response = Refusal(Problem::new(ProblemType::Overloaded).with_retry_after(millis))
                .into_response();
            assert_eq!(response.status(), 503);
            assert_eq!(response.headers()["retry-after"], seconds);
        }
        assert!(
            !Refusal(Problem::new(ProblemType::NotFound))
                .into_response()
                .headers()
                .contains_key("retry-after")
        );
    }

    #[tokio::test]
    async fn what_the_database_says_stays_here() {
        let secret = || "relation heroes on db:5432".to_owned();
        for (error, status) in [
            (StoreError::Unavailable(secret()), 503),
            (StoreError::Trouble(Trouble::Gone, secret()), 503),
            (StoreError::Trouble(Trouble::Damaged, secret()), 500),
            (StoreError::Contended(secret()), 503),
            (StoreError::Failed(secret()), 500),
        ] {
            let response = Refusal::from(error).into_response();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()["content-type"], "application/problem+json");
            let body =
                axum::body::to_bytes(response.into_body(), 4_096).await.expect("a short body");
            let body = String::from_utf8(body.to_vec()).expect("text");
            assert!(!body.contains("relation") && !body.contains("5432"), "{body}");
        }
    }
}
