//! Shows a problem (RFC 9457) as one line.

use serde::Deserialize;

#[derive(Deserialize)]
struct ApiProblem {
    title: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    errors: Vec<ApiFieldError>,
}

#[derive(Deserialize)]
struct ApiFieldError {
    pointer: String,
    detail: String,
}

/// Returns the problem in one line, with each wrong field; `None` if the text is not a problem.
pub fn explain(json: &str) -> Option<String> {
    let ApiProblem { title, detail, errors } = serde_json::from_str(json).ok()?;
    if !errors.is_empty() {
        let errors =
            errors.iter().map(|error| format!("{} {}", name(&error.pointer), error.detail));
        return Some(format!("{title}: {}", errors.collect::<Vec<_>>().join("; ")));
    }
    Some(if detail.is_empty() || detail == title { title } else { format!("{title}: {detail}") })
}

/// Returns the name of a field of the body (`#/name`) or a parameter of the query (`?limit`),
/// without the marks, which people do not need.
fn name(pointer: &str) -> &str {
    pointer.trim_start_matches("#/").trim_start_matches('?')
}

#[cfg(test)]
mod tests {
    use galley_protocol::{FieldError, Problem, ProblemType, Sentence};

    use super::explain;

    #[test]
    fn a_problem_is_one_line_with_every_wrong_field() {
        let field = |pointer: &str, detail| FieldError { pointer: pointer.to_owned(), detail };
        let fields =
            vec![field("#/name", Sentence::Empty), field("?limit", Sentence::OutOfRange(1, 100))];
        for (problem, line) in [
            (Problem::new(ProblemType::HeroNotFound), "Hero not found"),
            (
                Problem::new(ProblemType::Draining).with_detail(Sentence::HeroSockets),
                "Draining: this hero holds as many sockets as it may",
            ),
            (
                Problem::new(ProblemType::ValidationFailed).with_errors(fields),
                "Validation failed: name must not be empty; limit must be from 1 to 100",
            ),
        ] {
            let json = serde_json::to_string(&problem).expect("JSON");
            assert_eq!(explain(&json).as_deref(), Some(line));
        }
        assert_eq!(explain("<html>502 Bad Gateway</html>"), None);
    }
}
