//! The only crate that speaks SQL: `PostgreSQL` and `SQLite` behind one trait.
//!
//! The database is the truth. Every transition is one guarded statement – it names the status it
//! expects and raises the version by one – so that whoever gets no row back has lost the race and
//! does nothing. What a method returns has been committed, with the disk's word for it; nothing is
//! published from here.
//!
//! Everything a hero waits for comes in batches: one statement, one commit, a verdict for each
//! request in the order of the requests. Callers bound the batches at [`MAX_BATCH`].

mod change;
mod changes;
mod codes;
mod connect;
mod cursors;
mod floor;
mod folding;
mod migrations;
mod outage;
mod placing;
mod postgres;
mod reading;
pub mod requests;
mod rows;
mod snapshot;
mod sqlite;
mod trouble;
mod upkeep;
mod verdict;
mod work;

use std::time::Duration;

use async_trait::async_trait;
use galley_protocol::{
    Hero, HeroId, HeroPatch, IdempotencyKey, Meal, MealId, MealPatch, NewHero, NewMeal, Version,
};
use thiserror::Error;

pub use changes::{CHANGES_PAGE, Changes, ChangesOfAll, ChangesRequest, Deletion, States};
pub use connect::{ConnectError, connect, place};
pub use cursors::CursorKeys;
pub use migrations::OUTDATED;
pub use placing::Placing;
pub use reading::Reading;
pub use requests::{
    CancelRequest, CancelVerdict, Census, Change, ChangeError, Claim, ClaimFrom, Claimed, Creation,
    DeleteRequest, DeleteVerdict, IdRange, Incarnations, ListPage, OrderFilter, PlaceRequest,
    PlaceVerdict, RemoveError, ViewedOrder,
};
pub use snapshot::{MAX_RESUMED, Snapshot, SnapshotRequest};
pub use sqlite::{BackupError, BackupReport, backup};
pub use trouble::Trouble;
pub use upkeep::Upkeep;
pub use work::Work;

/// The most requests in one batch.
pub const MAX_BATCH: usize = 500;

/// How long the database may work on one statement.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often an order may be adopted from a dead owner before it ends as `undeliverable`. Handing
/// back does not count.
pub const MAX_ADOPTIONS: i32 = 5;

/// How long an idempotency key and a deleted order are kept at least.
pub const RETENTION: Duration = Duration::from_hours(25);

/// The database did not do what was asked.
#[derive(Clone, Debug, Error)]
pub enum StoreError {
    /// It is away, or too busy to answer in time. What was asked may have been done or not.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// It names what is wrong with it. Most of that ends by waiting, until somebody has mended it.
    #[error("{trouble}: {1}", trouble = .0.words())]
    Trouble(Trouble, String),
    /// Others kept changing the same at the same moment. The database is well.
    #[error("others kept changing the same: {0}")]
    Contended(String),
    /// It answered with an error that repeating will not cure, or with something that cannot be.
    #[error("the database refused: {0}")]
    Failed(String),
}

impl StoreError {
    /// Returns true if repeating may help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Contended(_) => true,
            Self::Trouble(trouble, _) => trouble.may_pass(),
            Self::Failed(_) => false,
        }
    }

    /// Returns true if the request may have been applied nevertheless.
    #[must_use]
    pub fn is_uncertain(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::Trouble(trouble, _) => !trouble.changed_nothing(),
            Self::Contended(_) | Self::Failed(_) => false,
        }
    }

    /// The cause in words for callers: no path, no statement.
    #[must_use]
    pub const fn words(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "the database is unreachable",
            Self::Trouble(trouble, _) => trouble.words(),
            Self::Contended(_) => "others keep changing the same",
            Self::Failed(_) => "the database refused, or its schema is not the one of this program",
        }
    }
}

/// Heroes, meals and orders, durable.
pub trait Store: Menu + Placing + Reading + Work + Upkeep + Send + Sync + 'static {}

impl<T: Menu + Placing + Reading + Work + Upkeep + Send + Sync + 'static> Store for T {}

/// Heroes and meals.
#[async_trait]
pub trait Menu {
    /// Adds a hero.
    async fn create_hero(&self, hero: &NewHero) -> Result<Hero, StoreError>;
    /// Adds a hero, unless one was added under this key within [`RETENTION`].
    async fn create_hero_once(
        &self,
        hero: &NewHero,
        key: &IdempotencyKey,
    ) -> Result<Creation<Hero>, StoreError>;
    /// Reads a hero that was not deleted.
    async fn hero(&self, id: HeroId) -> Result<Option<Hero>, StoreError>;
    /// Lists heroes by rising id.
    async fn heroes(&self, page: &ListPage) -> Result<Vec<Hero>, StoreError>;
    /// Replaces a hero, or some of its fields.
    async fn change_hero(
        &self,
        id: HeroId,
        change: Change<NewHero, HeroPatch>,
        expected: Option<Version>,
    ) -> Result<Hero, ChangeError>;
    /// Deletes a hero that has no active order; its ended orders stay readable.
    async fn remove_hero(&self, id: HeroId, expected: Option<Version>) -> Result<(), RemoveError>;

    /// Adds a meal.
    async fn create_meal(&self, meal: &NewMeal) -> Result<Meal, StoreError>;
    /// Adds a meal, unless one was added under this key within [`RETENTION`].
    async fn create_meal_once(
        &self,
        meal: &NewMeal,
        key: &IdempotencyKey,
    ) -> Result<Creation<Meal>, StoreError>;
    /// Reads a meal that was not deleted.
    async fn meal(&self, id: MealId) -> Result<Option<Meal>, StoreError>;
    /// Lists meals by rising id.
    async fn meals(&self, page: &ListPage) -> Result<Vec<Meal>, StoreError>;
    /// Replaces a meal, or some of its fields.
    async fn change_meal(
        &self,
        id: MealId,
        change: Change<NewMeal, MealPatch>,
        expected: Option<Version>,
    ) -> Result<Meal, ChangeError>;
    /// Deletes a meal on which no order is active; ended orders on it stay readable.
    async fn remove_meal(&self, id: MealId, expected: Option<Version>) -> Result<(), RemoveError>;
}
