//! Creating and changing heroes and meals, alike in both stores: keys, the fields that are set, the
//! cause when nothing was changed.

use galley_protocol::{HeroPatch, MealPatch, NewHero, NewMeal, Version, allergy};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{Change, ChangeError, Creation, RemoveError, StoreError};

impl Change<NewHero, HeroPatch> {
    /// The fields that are set; the others stay.
    pub(crate) fn fields(self) -> HeroPatch {
        match self {
            Self::Replace(NewHero { name, planet, allergies }) => {
                HeroPatch { name: Some(name), planet: Some(planet), allergies: Some(allergies) }
            }
            Self::Patch(patch) => patch,
        }
    }
}

impl Change<NewMeal, MealPatch> {
    /// The fields that are set; the others stay.
    pub(crate) fn fields(self) -> MealPatch {
        match self {
            Self::Replace(NewMeal { name, ingredients, price, origin_planet, description }) => {
                MealPatch {
                    name: Some(name),
                    ingredients: Some(ingredients),
                    price: Some(price),
                    origin_planet: Some(origin_planet),
                    description: Some(description),
                }
            }
            Self::Patch(patch) => patch,
        }
    }
}

/// The cause for which a change met no row. Versions only rise, so that a row which has the
/// expected version now had an older one then.
pub(crate) fn unchanged<T>(found: Option<&T>) -> ChangeError {
    if found.is_some() { ChangeError::Stale } else { ChangeError::NotFound }
}

/// The thing that is to change, when it is there and has the expected version.
pub(crate) fn current<T>(
    found: Option<T>,
    version: impl Fn(&T) -> Version,
    expected: Option<Version>,
) -> Result<T, ChangeError> {
    let found = found.ok_or(ChangeError::NotFound)?;
    if expected.is_none_or(|expected| expected == version(&found)) {
        Ok(found)
    } else {
        Err(ChangeError::Stale)
    }
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

/// How often a key is asked about again that was taken, and forgotten before it could be read.
const TRIES: usize = 5;

/// Creates a thing under a key, or reads the one that was created under it before.
pub(crate) async fn once<T, I, K>(
    insert: impl Fn() -> I,
    of_key: impl Fn() -> K,
) -> Result<Creation<T>, StoreError>
where
    I: Future<Output = Result<Option<T>, StoreError>>,
    K: Future<Output = Result<Option<(bool, T)>, StoreError>>,
{
    for _ in 0..TRIES {
        if let Some(created) = insert().await? {
            return Ok(Creation::Created(created));
        }
        match of_key().await? {
            Some((true, before)) => return Ok(Creation::Replayed(before)),
            Some((false, _)) => return Ok(Creation::KeyReused),
            None => {}
        }
    }
    Err(StoreError::Contended("an idempotency key".to_owned()))
}

/// The SHA-256 of a body as it was understood: spaces and the order of fields make no difference.
pub(crate) fn digest(body: &impl Serialize) -> Vec<u8> {
    Sha256::digest(serde_json::to_vec(body).expect("a body has string keys only")).to_vec()
}
