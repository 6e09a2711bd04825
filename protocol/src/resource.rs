//! The common form of heroes and meals.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Version;
use crate::id::IdError;
use crate::problem_type::ProblemType;

/// A hero or a meal: staff creates, changes and deletes it.
pub trait Resource: Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The identifier.
    type Id: Copy
        + Display
        + FromStr<Err = IdError>
        + Into<i64>
        + DeserializeOwned
        + Send
        + Sync
        + 'static;
    /// Every field that a caller sets.
    type New: Clone + Into<Self::Patch> + Serialize + Send + Sync + 'static;
    /// Some of these fields; the others stay.
    type Patch: Send + Sync + 'static;

    /// The word for one of them.
    const WORD: &str;
    /// The plural of the word, also the first part of the path.
    const WORDS: &str;
    /// The problem of an unknown id.
    const NOT_FOUND: ProblemType;

    /// Returns the identifier.
    fn id(&self) -> Self::Id;

    /// Returns the version.
    fn version(&self) -> Version;

    /// Returns the path of one of them.
    #[must_use]
    fn path(id: Self::Id) -> String {
        format!("/{}/{id}", Self::WORDS)
    }
}
