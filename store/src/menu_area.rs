//! The menu area: heroes and meals.

use async_trait::async_trait;
use galley_protocol::allergy::fold;
use galley_protocol::frame::Page;
use galley_protocol::{
    Allergy, Description, Hero, HeroName, IdempotencyKey, Ingredient, Meal, MealName, Planet,
    Price, Resource, Version,
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::row_values::{Columns, get, hero, meal};
use crate::{ChangeError, Creation, ListPage, Result, Store, StoreError};

/// The heroes or the meals.
#[async_trait]
pub trait Menu<R: Resource>: Send + Sync + 'static {
    /// Creates a hero or a meal.
    async fn create(&self, new: &R::New) -> Result<R> {
        match self.create_once(new, None).await? {
            Creation::Created(created) => Ok(created),
            Creation::Replayed(_) | Creation::KeyReused => {
                Err(StoreError::Failed(format!("a {} was not inserted", R::WORD)))
            }
        }
    }
    /// Creates a hero or a meal, unless this key was used within [`RETENTION`](crate::RETENTION).
    async fn create_once(&self, new: &R::New, key: Option<&IdempotencyKey>) -> Result<Creation<R>>;
    /// Reads a hero or a meal that was not deleted.
    async fn get(&self, id: R::Id) -> Result<Option<R>>;
    /// Lists heroes or meals by rising id. A page looks at no more than
    /// [`SEARCHED`](crate::SEARCHED) rows.
    async fn list(&self, page: &ListPage) -> Result<Page<R>>;
    /// Sets the fields of the patch in one statement; concurrent changes wait for each other.
    async fn update(
        &self,
        id: R::Id,
        patch: &R::Patch,
        expected: Option<Version>,
    ) -> Result<R, ChangeError>;
    /// Deletes a hero or a meal that has no active order. Its ended orders stay readable.
    async fn remove(&self, id: R::Id, expected: Option<Version>) -> Result<(), ChangeError>;
    /// Reads what was created, changed or deleted since a position: at most `limit` rows by rising
    /// id, with ids above `after`. Without a position, nothing but the present position is read.
    async fn changed_since(
        &self,
        since: Option<&MenuPosition>,
        after: Option<R::Id>,
        limit: usize,
    ) -> Result<MenuChanges<R>>;
}

/// A position in the order of the commits that change heroes, or of those that change meals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MenuPosition(pub(crate) String);

/// The heroes or the meals that changed since a position.
#[derive(Debug)]
pub struct MenuChanges<R: Resource> {
    /// The created and changed ones, as they are now.
    pub changed: Vec<R>,
    /// The deleted ones.
    pub deleted: Vec<R::Id>,
    /// The position of this read: every change before it is contained, within the limit.
    pub position: MenuPosition,
    /// True if the given position is not one of this database, as after a backup was restored.
    /// Nobody knows then what changed.
    pub is_lost: bool,
}

impl dyn Store + '_ {
    /// The heroes.
    #[must_use]
    pub fn heroes(&self) -> &dyn Menu<Hero> {
        self
    }

    /// The meals.
    #[must_use]
    pub fn meals(&self) -> &dyn Menu<Meal> {
        self
    }
}

/// The most tries for a key, which may be taken and then forgotten before its row is read.
pub(crate) const TRIES: usize = 5;

pub(crate) fn contended() -> StoreError {
    StoreError::Contended("an idempotency key".to_owned())
}

pub(crate) struct Statements {
    pub(crate) create: &'static str,
    pub(crate) of_key: &'static str,
    pub(crate) get: &'static str,
    pub(crate) list: &'static str,
    pub(crate) update: &'static str,
    pub(crate) remove: &'static str,
    pub(crate) changed: &'static str,
}

pub(crate) trait Record: Resource {
    /// Reads a row of the table.
    fn read(row: &impl Columns) -> Result<Self>;
    fn fields(patch: &Self::Patch) -> RecordFields<'_>;
}

/// The columns to set, in the order of the statements' parameters; `None` leaves a column as it is.
pub(crate) struct RecordFields<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) entries: Option<Vec<&'a str>>,
    pub(crate) others: Vec<Field<'a>>,
}

impl RecordFields<'_> {
    /// The folded name, which searches compare.
    pub(crate) fn name_folded(&self) -> Option<String> {
        self.name.map(fold)
    }

    /// The folded entries, which the allergy check compares.
    pub(crate) fn entries_folded(&self) -> Option<Vec<String>> {
        self.entries.as_ref().map(|entries| entries.iter().map(|text| fold(text)).collect())
    }
}

pub(crate) enum Field<'a> {
    Text(Option<&'a str>),
    Number(Option<i64>),
}

impl Record for Hero {
    fn read(row: &impl Columns) -> Result<Self> {
        hero(row)
    }

    fn fields(patch: &Self::Patch) -> RecordFields<'_> {
        RecordFields {
            name: patch.name.as_ref().map(HeroName::as_str),
            entries: patch.allergies.as_deref().map(|list| texts(list, Allergy::as_str)),
            others: vec![Field::Text(patch.planet.as_ref().map(Planet::as_str))],
        }
    }
}

impl Record for Meal {
    fn read(row: &impl Columns) -> Result<Self> {
        meal(row)
    }

    fn fields(patch: &Self::Patch) -> RecordFields<'_> {
        RecordFields {
            name: patch.name.as_ref().map(MealName::as_str),
            entries: patch.ingredients.as_deref().map(|list| texts(list, Ingredient::as_str)),
            others: vec![
                Field::Number(patch.price.map(Price::hundredths)),
                Field::Text(patch.origin_planet.as_ref().map(Planet::as_str)),
                Field::Text(patch.description.as_ref().map(Description::as_str)),
            ],
        }
    }
}

fn texts<T>(list: &[T], text: impl Fn(&T) -> &str) -> Vec<&str> {
    list.iter().map(text).collect()
}

/// Reads the outcome for a known key; `same` is false if the body differs.
pub(crate) fn known<R: Record>(row: &impl Columns) -> Result<Creation<R>> {
    Ok(if get(row, "same")? { Creation::Replayed(R::read(row)?) } else { Creation::KeyReused })
}

/// Reads the rows of the statement `changed`. There is at least one, with the position; its id is
/// null if nothing changed.
pub(crate) fn changes<R: Record>(rows: &[impl Columns]) -> Result<MenuChanges<R>> {
    let first = rows.first().ok_or_else(|| StoreError::Failed("no position".to_owned()))?;
    let (mut changed, mut deleted) = (Vec::new(), Vec::new());
    for row in rows {
        if get::<Option<i64>>(row, "id")?.is_none() {
            continue;
        }
        let one = R::read(row)?;
        if get(row, "deleted")? {
            deleted.push(one.id());
        } else {
            changed.push(one);
        }
    }
    let position = MenuPosition(get(first, "position")?);
    Ok(MenuChanges { changed, deleted, position, is_lost: get(first, "lost")? })
}

/// The reason why a change met no row. Versions only rise, so a row that has the expected version
/// now had a smaller one when the change ran: the cause is `Stale` in any case.
pub(crate) fn unchanged<R>(found: Option<&R>) -> ChangeError {
    if found.is_some() { ChangeError::Stale } else { ChangeError::NotFound }
}

pub(crate) fn not_removed<R: Resource>(
    found: Option<&R>,
    expected: Option<Version>,
) -> ChangeError {
    match found {
        Some(found) if expected.is_none_or(|expected| expected == found.version()) => {
            ChangeError::HasActiveOrders
        }
        _ => unchanged(found),
    }
}

/// The SHA-256 of the parsed body: white space and the order of fields make no difference.
pub(crate) fn digest(body: &impl Serialize) -> Vec<u8> {
    Sha256::digest(serde_json::to_vec(body).expect("a body has string keys only")).to_vec()
}
