//! Bodies that change a resource and may say which one, as it was read.

use galley_protocol::strict::Strict;
use galley_protocol::{FieldError, Problem, ProblemType, Resource, Sentence, Version};
use serde_json::Value;

use super::body::FromJson;
use crate::web::conditions::IfMatch;

/// The fields to change. `id` and `version` may stand beside them, so that a resource can be sent
/// back as it was read.
pub struct ReadBack<T> {
    fields: T,
    id: Option<Value>,
    version: Option<Value>,
}

impl<T: FromJson> FromJson for ReadBack<T> {
    const MERGE_PATCH: bool = T::MERGE_PATCH;

    fn from_json(mut body: Strict) -> Result<Self, Problem> {
        let (id, version) = (body.take("id"), body.take("version"));
        Ok(Self { fields: T::from_json(body)?, id, version })
    }
}

impl<T> ReadBack<T> {
    /// Returns the fields, and the version that the resource must still have.
    ///
    /// # Errors
    /// `validation-failed` for another `id` than that of the path, or a `version` that cannot be
    /// the present one.
    pub fn of<R: Resource>(
        self,
        id: R::Id,
        guard: &IfMatch,
    ) -> Result<(T, Option<Version>), Problem> {
        let number: i64 = id.into();
        let mut errors = Vec::new();
        if self.id.is_some_and(|found| found != number) {
            errors.push(error("id", Sentence::OtherId(number)));
        }
        let version = self.version.map(|version| {
            let version = version.as_i64().and_then(|version| i32::try_from(version).ok());
            version
                .map(Version)
                .filter(|version| *version >= Version::FIRST && guard.admits(*version))
        });
        if version == Some(None) {
            errors.push(wrong_version());
        }
        if errors.is_empty() { Ok((self.fields, version.flatten())) } else { Err(invalid(errors)) }
    }
}

/// The problem of a body with another version than the present one.
pub fn other_version() -> Problem {
    invalid(vec![wrong_version()])
}

fn wrong_version() -> FieldError {
    error("version", Sentence::OtherVersion)
}

fn error(name: &str, detail: Sentence) -> FieldError {
    FieldError { pointer: format!("#/{name}"), detail }
}

fn invalid(errors: Vec<FieldError>) -> Problem {
    Problem::new(ProblemType::ValidationFailed).with_errors(errors)
}
