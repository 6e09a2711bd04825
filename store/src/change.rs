//! How a change of a hero or a meal comes to a new whole, alike in both stores.

use galley_protocol::{Hero, HeroPatch, Meal, MealPatch, NewHero, NewMeal, Version, allergy};

use crate::{Change, ChangeError, RemoveError};

impl Change<NewHero, HeroPatch> {
    /// What `hero` becomes.
    pub(crate) fn apply(self, hero: Hero) -> NewHero {
        match self {
            Self::Replace(whole) => whole,
            Self::Patch(patch) => patch.apply(hero),
        }
    }
}

impl Change<NewMeal, MealPatch> {
    /// What `meal` becomes.
    pub(crate) fn apply(self, meal: Meal) -> NewMeal {
        match self {
            Self::Replace(whole) => whole,
            Self::Patch(patch) => patch.apply(meal),
        }
    }
}

/// The thing that is to change, when it is there and has the expected version.
pub(crate) fn current<T>(found: Option<T>, version: impl Fn(&T) -> Version, expected: Option<Version>) -> Result<T, ChangeError> {
    let found = found.ok_or(ChangeError::NotFound)?;
    if expected.is_none_or(|expected| expected == version(&found)) { Ok(found) } else { Err(ChangeError::Stale) }
}

/// Texts as they are, and folded, for two columns.
pub(crate) fn with_folded<T>(texts: &[T], text: impl Fn(&T) -> &str) -> (Vec<String>, Vec<String>) {
    texts.iter().map(|entry| (text(entry).to_owned(), allergy::fold(text(entry)))).unzip()
}

impl From<ChangeError> for RemoveError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NotFound => Self::NotFound,
            ChangeError::Stale => Self::Stale,
            ChangeError::Store(error) => Self::Store(error),
        }
    }
}
