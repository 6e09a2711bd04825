//! Problems (RFC 9457), of REST and in `error` frames alike.

use serde::Serialize;
use utoipa::ToSchema;

use crate::language::Language;
use crate::problem_type::ProblemType;
use crate::sentence::Sentence;
use crate::{Order, TraceContext, TraceId};

/// One field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Which: a JSON pointer into the body as a URI fragment (`#/name`), a query parameter
    /// (`?limit`), a path parameter (`/{id}`) or a header (its name).
    pub pointer: String,
    /// What is wrong with it.
    #[schema(value_type = String)]
    pub detail: Sentence,
}

/// A problem (RFC 9457 section 3), as it goes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// A path under this service that explains the problem type.
    #[serde(rename = "type")]
    pub kind: ProblemType,
    /// The same for each problem of a type, in the language of the reader.
    pub title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What went wrong this time, in the language of the reader.
    #[schema(value_type = String)]
    pub detail: Box<Sentence>,
    /// The wrong fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldError>,
    /// The order as it is, when that is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub order: Option<Box<Order>>,
    /// When to try again, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub retry_after_ms: Option<u64>,
    /// The request that met the problem: `/requests/` and its `X-Request-Id`. No page is there. A
    /// frame has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub instance: Option<Box<str>>,
    /// The trace of the request or command, if it is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub trace_id: Option<Box<TraceId>>,
}

impl Problem {
    /// Creates a problem. Its detail is the title, until [`Problem::with_detail`] replaces it.
    #[must_use]
    pub fn new(kind: ProblemType) -> Self {
        Self {
            kind,
            title: Language::default().title(kind),
            status: kind.status(),
            detail: Box::new(Sentence::Title(kind)),
            errors: Vec::new(),
            order: None,
            retry_after_ms: None,
            instance: None,
            trace_id: None,
        }
    }

    /// Sets the detail: what went wrong this time.
    #[must_use]
    pub fn with_detail(mut self, detail: Sentence) -> Self {
        *self.detail = detail;
        self
    }

    /// Writes the title and the sentences out in the language of the reader. English is written
    /// only as it goes out.
    #[must_use]
    pub fn spoken_in(mut self, language: Language) -> Self {
        if language != Language::default() {
            self.title = language.title(self.kind);
            *self.detail = self.detail.said_in(language);
            for error in &mut self.errors {
                error.detail = error.detail.said_in(language);
            }
        }
        self
    }

    /// Adds the wrong fields, and names the first in the detail.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        if let [FieldError { pointer, detail }, rest @ ..] = errors.as_slice() {
            let (name, error) = (pointer.clone(), Box::new(detail.clone()));
            *self.detail = match rest.len() {
                0 => Sentence::WrongField(name, error),
                more => Sentence::WrongFields(name, error, more),
            };
        }
        self.errors = errors;
        self
    }

    /// Creates the problem of one wrong parameter.
    #[must_use]
    pub fn invalid_parameter(pointer: impl Into<String>, detail: impl Into<Sentence>) -> Self {
        Self::new(ProblemType::InvalidParameter)
            .with_errors(vec![FieldError { pointer: pointer.into(), detail: detail.into() }])
    }

    /// Adds the current state of the order.
    #[must_use]
    pub fn with_order(mut self, order: Order) -> Self {
        self.order = Some(Box::new(order));
        self
    }

    /// Adds the request that met the problem.
    #[must_use]
    pub fn with_instance(mut self, request_id: &str) -> Self {
        self.instance = Some(format!("/requests/{request_id}").into());
        self
    }

    /// Adds the trace of the request or command.
    #[must_use]
    pub fn with_trace(mut self, trace: Option<TraceContext>) -> Self {
        self.trace_id = trace.map(|trace| Box::new(trace.trace_id));
        self
    }

    /// Adds the time in milliseconds after which to try again.
    #[must_use]
    pub fn with_retry_after(mut self, millis: u64) -> Self {
        self.retry_after_ms = Some(millis);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{FieldError, Problem, ProblemType};
    use crate::language::Language;
    use crate::sentence::Sentence;

    #[test]
    fn a_problem_looks_like_rfc_9457_in_any_language() {
        let error = FieldError { pointer: "#/name".to_owned(), detail: Sentence::Required };
        let problem = Problem::new(ProblemType::ValidationFailed).with_errors(vec![error]);
        assert_eq!(
            serde_json::to_string(&problem).expect("JSON"),
            r##"{"type":"/problems/validation-failed","title":"Validation failed","status":422,"detail":"#/name is required","errors":[{"pointer":"#/name","detail":"is required"}]}"##
        );
        let french = Language::accepted("fr").expect("French");
        assert_eq!(
            serde_json::to_string(&problem.spoken_in(french)).expect("JSON"),
            r##"{"type":"/problems/validation-failed","title":"Données incorrectes","status":422,"detail":"#/name est obligatoire","errors":[{"pointer":"#/name","detail":"est obligatoire"}]}"##
        );
    }
}
