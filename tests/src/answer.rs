//! HTTP answers, and expectations of them.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// A whole HTTP answer.
#[derive(Debug)]
pub struct TestAnswer {
    /// The request, for the message of a failure.
    pub question: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl TestAnswer {
    /// Expects this status and returns the body as JSON; `null` if it is empty.
    #[expect(clippy::must_use_candidate, reason = "the expectation may be all that matters")]
    pub fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.question, self.text);
        self.json()
    }

    /// Expects a complete problem (RFC 9457) of this type and returns it.
    #[expect(clippy::must_use_candidate, reason = "the expectation may be all that matters")]
    pub fn problem(self, status: u16, slug: &str) -> Value {
        let question = self.question.clone();
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{question}: {} {}",
            self.status,
            self.text
        );
        let problem = self.is(status);
        assert_eq!(problem["type"], format!("/problems/{slug}"), "{question}: {problem}");
        assert_eq!(problem["status"], status, "{question}: {problem}");
        for field in ["title", "detail"] {
            assert!(
                problem[field].as_str().is_some_and(|text| !text.is_empty()),
                "{question}: {problem}"
            );
        }
        for secret in [
            "SELECT",
            "select ",
            "sqlx",
            "postgres",
            "sqlite",
            ".rs:",
            "/home/",
            env!("CARGO_PKG_VERSION"),
        ] {
            assert!(!problem.to_string().contains(secret), "{question}: {problem} shows {secret}");
        }
        problem
    }

    /// The body as JSON; `null` if it is empty.
    #[must_use]
    pub fn json(&self) -> Value {
        if self.text.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.question, self.text))
    }

    /// The value of a header; empty if it is absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("our headers are ASCII"))
    }
}
