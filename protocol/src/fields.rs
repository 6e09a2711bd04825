//! Reads a JSON object field by field and collects all errors, so that one answer names every wrong
//! field. Request bodies and client frames are read only by this module.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::allergy::fold;
use crate::problem::{FieldError, Problem};
use crate::problem_type::ProblemType;
use crate::sentence::Sentence;
use crate::strict::{self, Strict};
use crate::text::MAX_ENTRIES;

/// A JSON object being read.
#[derive(Debug)]
pub struct Fields {
    object: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Starts reading.
    ///
    /// # Errors
    /// A problem if the value is not an object.
    pub fn new(body: impl Into<Strict>) -> Result<Self, Problem> {
        let Strict { value, repeated } = body.into();
        match value {
            Value::Object(object) => Ok(Self { object, errors: repeated }),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Err(invalid(vec![FieldError {
                pointer: "#".to_owned(),
                detail: Sentence::NotAnObject,
            }])),
        }
    }

    /// Takes a field of any type.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.object.remove(name)
    }

    /// Takes an optional text.
    pub fn text<T, E: Into<Sentence>>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.take(name)?;
        self.parse_text(pointer(name), &value, parse)
    }

    /// Takes a text that must be there.
    pub fn required_text<T, E: Into<Sentence>>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.require(name)?;
        self.text(name, parse)
    }

    /// Takes a number that must be there.
    pub fn required_number<N: JsonNumber, T, E: Into<Sentence>>(
        &mut self,
        name: &str,
        parse: impl Fn(N) -> Result<T, E>,
    ) -> Option<T> {
        self.require(name)?;
        self.number(name, parse)
    }

    /// Takes an optional number.
    pub fn number<N: JsonNumber, T, E: Into<Sentence>>(
        &mut self,
        name: &str,
        parse: impl Fn(N) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.take(name)?;
        match N::read(&value).map(parse) {
            Some(parsed) => self.accept(pointer(name), parsed),
            None => self.refuse(pointer(name), N::DETAIL),
        }
    }

    /// Takes an optional list of texts, at most [`MAX_ENTRIES`].
    pub fn list<T, E: Into<Sentence>>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let value = self.take(name)?;
        let Value::Array(entries) = value else {
            return self.refuse(pointer(name), Sentence::NotStrings);
        };
        if entries.len() > MAX_ENTRIES {
            return self.refuse(pointer(name), Sentence::TooManyEntries(MAX_ENTRIES));
        }
        let parsed = entries.iter().enumerate().map(|(index, entry)| {
            self.parse_text(format!("{}/{index}", pointer(name)), entry, &parse)
        });
        let parsed: Vec<Option<T>> = parsed.collect();
        parsed.into_iter().collect()
    }

    /// Takes an optional list as a set: of entries that match (see [`fold`]) the first is kept.
    pub fn set<T, E: Into<Sentence>>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
        text: impl Fn(&T) -> &str,
    ) -> Option<Vec<T>> {
        let mut entries = self.list(name, parse)?;
        let mut seen = HashSet::new();
        entries.retain(|entry| seen.insert(fold(text(entry))));
        Some(entries)
    }

    /// Takes a field that `null` resets to its default. `read` takes any other value.
    pub fn reset_or<T: Default>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        if self.object.get(name) == Some(&Value::Null) {
            self.take(name);
            return Some(T::default());
        }
        read(self)
    }

    /// Adds an error. Always returns `None`.
    pub fn refuse<T>(&mut self, pointer: String, detail: Sentence) -> Option<T> {
        self.errors.push(FieldError { pointer, detail });
        None
    }

    /// Ends reading. A field that was not taken is unknown, which is an error. `build` is called if
    /// there is no error; it may return `None` only for a required field that was refused before.
    ///
    /// # Errors
    /// A problem that names every wrong field.
    pub fn finish<T>(mut self, build: impl FnOnce() -> Option<T>) -> Result<T, Problem> {
        let unknown = std::mem::take(&mut self.object);
        for name in unknown.keys() {
            self.refuse::<()>(pointer(name), Sentence::UnknownField);
        }
        if self.errors.is_empty()
            && let Some(whole) = build()
        {
            return Ok(whole);
        }
        Err(invalid(self.errors))
    }

    fn require(&mut self, name: &str) -> Option<()> {
        if self.object.contains_key(name) {
            Some(())
        } else {
            self.refuse(pointer(name), Sentence::Required)
        }
    }

    fn parse_text<T, E: Into<Sentence>>(
        &mut self,
        pointer: String,
        value: &Value,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        match value.as_str().map(parse) {
            Some(parsed) => self.accept(pointer, parsed),
            None => self.refuse(pointer, Sentence::NotAString),
        }
    }

    fn accept<T, E: Into<Sentence>>(&mut self, pointer: String, parsed: Result<T, E>) -> Option<T> {
        match parsed {
            Ok(parsed) => Some(parsed),
            Err(error) => self.refuse(pointer, error.into()),
        }
    }
}

/// A kind of number in JSON.
pub trait JsonNumber: Sized {
    /// The detail of the error for any other value.
    const DETAIL: Sentence;

    /// Returns the number, if the value is one of this kind.
    fn read(value: &Value) -> Option<Self>;
}

impl JsonNumber for f64 {
    const DETAIL: Sentence = Sentence::NotANumber;

    fn read(value: &Value) -> Option<Self> {
        value.as_f64()
    }
}

impl JsonNumber for i64 {
    const DETAIL: Sentence = Sentence::NotAnInteger;

    fn read(value: &Value) -> Option<Self> {
        whole(value)
    }
}

/// Returns the integer value; `2.0` is an integer (JSON Schema Core, section 4.2.3).
#[must_use]
pub fn whole(value: &Value) -> Option<i64> {
    // Exclusive: 2^63 is not an `i64`.
    let bound = 2_f64.powi(63);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a whole number that an i64 holds, checked before"
    )]
    let exact = |number: f64| {
        (number.fract() == 0.0 && (-bound..bound).contains(&number)).then_some(number as i64)
    };
    value.as_i64().or_else(|| value.as_f64().and_then(exact))
}

fn pointer(name: &str) -> String {
    strict::pointer("#", name)
}

fn invalid(mut errors: Vec<FieldError>) -> Problem {
    // Bounds the answer, however many fields are wrong.
    errors.truncate(MAX_ENTRIES);
    Problem::new(ProblemType::ValidationFailed).with_errors(errors)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::FieldError;
    use crate::{MealPatch, NewHero, NewMeal};

    fn errors(problem: &crate::Problem) -> Vec<String> {
        let error = |error: &FieldError| format!("{} {}", error.pointer, error.detail);
        problem.errors.iter().map(error).collect()
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let body = json!({"name": " ", "allergies": ["ok", 7, "bell\u{7}"], "id": 3, "a/b~": 1});
        let problem = NewHero::from_json(body).expect_err("a wrong body");
        assert_eq!(
            errors(&problem),
            [
                "#/name must not be empty",
                "#/planet is required",
                "#/allergies/1 must be a string",
                "#/allergies/2 must not contain U+0007 (a control character), which is character 5",
                "#/a~1b~0 is not a known field",
                "#/id is not a known field",
            ]
        );
    }

    #[test]
    fn defaults_stand_in_for_what_is_absent() {
        let meal =
            NewMeal::from_json(json!({"name": "Soup", "price": 3.5, "origin_planet": "Earth"}))
                .expect("a meal");
        assert!(meal.ingredients.is_empty());
        assert_eq!(meal.description.as_str(), "");
    }

    #[test]
    fn allergies_are_a_set() {
        let hero = NewHero::from_json(
            json!({"name": "A", "planet": "B", "allergies": ["Nut", " nut", "NÜT", "milk"]}),
        )
        .expect("a hero");
        assert_eq!(
            hero.allergies.iter().map(crate::Allergy::as_str).collect::<Vec<_>>(),
            ["Nut", "milk"]
        );
    }

    #[test]
    fn a_list_is_bounded() {
        let body = json!({"name": "A", "planet": "B", "allergies": vec!["x"; 101]});
        let problem = NewHero::from_json(body).expect_err("too long");
        assert_eq!(errors(&problem), ["#/allergies must have at most 100 entries"]);
    }

    #[test]
    fn in_a_patch_null_restores_a_default_and_is_refused_where_there_is_none() {
        let patch = MealPatch::from_json(json!({"description": null, "ingredients": null}))
            .expect("a patch");
        assert_eq!(patch.ingredients, Some(vec![]));
        assert_eq!(patch.description.map(String::from), Some(String::new()));
        let problem =
            MealPatch::from_json(json!({"name": null, "price": null})).expect_err("no default");
        assert_eq!(errors(&problem), ["#/name must be a string", "#/price must be a number"]);
    }

    #[test]
    fn a_body_that_is_not_an_object_is_refused() {
        for body in [json!(null), json!([]), json!("x"), json!(1)] {
            assert_eq!(
                errors(&NewHero::from_json(body).expect_err("no object")),
                ["# must be a JSON object"]
            );
        }
    }
}
