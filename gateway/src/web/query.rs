//! Query parameters. Each must be known, well-formed, and not repeated unless it is a list. One
//! answer names every wrong parameter.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use galley_protocol::{FieldError, Problem, ProblemType, Sentence};
use percent_encoding::percent_decode_str;

use super::Refusal;

/// Maximum number of wrong parameters that are named.
const MAX_ERRORS: usize = 100;
/// Maximum number of characters of an unknown parameter's name that are shown.
const MAX_NAME: usize = 64;

pub trait FromPairs: Sized {
    /// The problem names every wrong parameter.
    fn from_pairs(pairs: Pairs) -> Result<Self, Problem>;
}

/// A query without parameters.
impl FromPairs for () {
    fn from_pairs(pairs: Pairs) -> Result<Self, Problem> {
        pairs.finish(|| Some(()))
    }
}

pub struct Params<T>(pub T);

impl<S: Send + Sync, T: FromPairs> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let pairs = Pairs::decode(parts.uri.query().unwrap_or_default());
        Ok(Self(T::from_pairs(pairs)?))
    }
}

#[derive(Debug)]
pub struct Pairs {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Pairs {
    /// Splits a query and decodes its names and values.
    pub fn decode(query: &str) -> Self {
        let mut whole = Self { pairs: Vec::new(), errors: Vec::new() };
        for piece in query.split('&').filter(|piece| !piece.is_empty()) {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            let Some(name) = decode(name) else {
                whole.refuse(name, Sentence::NotEncoded);
                continue;
            };
            match decode(value) {
                Some(value) => whole.pairs.push((name, value)),
                None => whole.refuse(&name, Sentence::NotEncoded),
            }
        }
        whole
    }

    /// Takes an optional parameter that must not be repeated.
    pub fn one<T, E: Into<Sentence>>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let mut values = self.take(name);
        if values.len() > 1 {
            self.refuse(name, Sentence::Repeated);
            return None;
        }
        let value = values.pop()?;
        self.accept(name, parse(&value))
    }

    pub fn many<T, E: Into<Sentence>>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        self.take(name).iter().filter_map(|value| self.accept(name, parse(value))).collect()
    }

    /// Ends the parsing. A parameter that was not taken is unknown, and an error. `build` is called
    /// if there are no errors; it may return `None` only for a parameter that was refused before.
    pub fn finish<T>(mut self, build: impl FnOnce() -> Option<T>) -> Result<T, Problem> {
        for (name, _) in std::mem::take(&mut self.pairs) {
            self.refuse(&name, Sentence::UnknownParameter);
        }
        if self.errors.is_empty()
            && let Some(whole) = build()
        {
            return Ok(whole);
        }
        self.errors.truncate(MAX_ERRORS);
        Err(Problem::new(ProblemType::InvalidParameter).with_errors(self.errors))
    }

    fn take(&mut self, name: &str) -> Vec<String> {
        self.pairs.extract_if(.., |(found, _)| found == name).map(|(_, value)| value).collect()
    }

    fn accept<T, E: Into<Sentence>>(&mut self, name: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.refuse(name, error.into())).ok()
    }

    fn refuse(&mut self, name: &str, detail: Sentence) {
        let short: String = name.chars().take(MAX_NAME).collect();
        self.errors.push(FieldError { pointer: format!("?{short}"), detail });
    }
}

/// Returns the query without one parameter, the others unchanged.
pub fn without(query: &str, name: &str) -> String {
    let keep = |piece: &&str| {
        let found = piece.split_once('=').map_or(*piece, |(found, _)| found);
        !piece.is_empty() && decode(found).as_deref() != Some(name)
    };
    query.split('&').filter(keep).collect::<Vec<_>>().join("&")
}

/// Decodes a name or a value of a form (`application/x-www-form-urlencoded`). Unlike browsers, it
/// refuses a `%` without two digits, and bytes that are not UTF-8.
fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let is_hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    let escaped =
        (0..bytes.len()).filter(|&at| bytes[at] == b'%').all(|at| is_hex(at + 1) && is_hex(at + 2));
    // First: an encoded `%2B` stays a plus sign.
    let spaced = text.replace('+', " ");
    if escaped { percent_decode_str(&spaced).decode_utf8().ok().map(String::from) } else { None }
}

#[cfg(test)]
mod tests {
    use super::{Pairs, Sentence, without};

    fn text(value: &str) -> Result<String, Sentence> {
        if value.is_empty() { Err(Sentence::Empty) } else { Ok(value.to_owned()) }
    }

    fn errors(pairs: Pairs) -> Vec<(String, String)> {
        let problem = pairs.finish(|| Some(())).expect_err("a wrong query");
        problem.errors.into_iter().map(|error| (error.pointer, error.detail.to_string())).collect()
    }

    #[test]
    fn names_and_values_are_decoded() {
        let mut pairs = Pairs::decode("q=cr%C3%A8me+fra%C3%AEche%2B&&%73tatus=A&status=B&flag");
        assert_eq!(pairs.one("q", text).as_deref(), Some("crème fraîche+"));
        assert_eq!(pairs.many("status", text), ["A", "B"]);
        assert_eq!(pairs.one("absent", text), None);
        assert_eq!(pairs.one("flag", |value| Ok::<_, Sentence>(value.len())), Some(0));
        assert_eq!(pairs.finish(|| Some(7)), Ok(7));
    }

    #[test]
    fn every_wrong_parameter_is_named_at_once() {
        let mut pairs = Pairs::decode("q=&limit=1&limit=2&x=%zz&%ff=1&y=%e9&stauts=A&p=%2");
        pairs.one("q", text);
        pairs.one("limit", text);
        let errors = errors(pairs);
        let pairs: Vec<(&str, &str)> =
            errors.iter().map(|(pointer, detail)| (pointer.as_str(), detail.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("?x", "is not percent-encoded UTF-8"),
                ("?%ff", "is not percent-encoded UTF-8"),
                ("?y", "is not percent-encoded UTF-8"),
                ("?p", "is not percent-encoded UTF-8"),
                ("?q", "must not be empty"),
                ("?limit", "must not be repeated"),
                ("?stauts", "is not a known parameter"),
            ]
        );
    }

    #[test]
    fn a_flood_of_wrong_parameters_is_answered_shortly() {
        let errors =
            errors(Pairs::decode(&format!("{}=1{}", "n".repeat(1_000), "&x=1".repeat(1_000))));
        assert_eq!(errors.len(), super::MAX_ERRORS);
        assert_eq!(errors[0].0.len(), 1 + super::MAX_NAME);
    }

    #[test]
    fn the_others_stay_as_they_came() {
        assert_eq!(without("q=a+b&cursor=p1&limit=%32", "cursor"), "q=a+b&limit=%32");
        assert_eq!(without("%63ursor=p1&cursors=x", "cursor"), "cursors=x");
        assert_eq!(without("", "cursor"), "");
    }
}
