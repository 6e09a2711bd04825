//! The only crate that speaks SQL: `PostgreSQL` and `SQLite` behind one trait.
//!
//! The database is the truth. Every transition is one guarded statement – it names the status it
//! expects and raises the version by one – so that whoever gets no row back has lost the race and
//! does nothing. What a method returns has been committed, with the disk's word for it; nothing is
//! published from here.
//!
//! Everything a hero waits for comes in batches: one statement, one commit, a verdict for each
//! request in the order of the requests. Callers bound the batches at [`MAX_BATCH`].

mod areas;
mod change_pages;
mod codes;
mod cursor_keys;
mod database_outage;
mod low_watermark;
mod menu_area;
mod migrations;
mod postgres;
mod refolding;
pub mod requests;
mod row_values;
mod snapshot;
mod sqlite;
mod store_connect;
mod trouble;
mod verdict;

use std::time::Duration;

use galley_protocol::{Hero, Meal};
use thiserror::Error;

pub use areas::{Placing, Reading, Upkeep, Work};
pub use change_pages::{CHANGES_PAGE, Changes, ChangesOfAll, ChangesRequest, Deletion, States};
pub use cursor_keys::CursorKeys;
pub use menu_area::Menu;
pub use migrations::OUTDATED;
pub use requests::{
    CancelVerdict, Census, ChangeError, Claim, ClaimFrom, Claimed, Creation, DeleteVerdict,
    IdRange, Incarnations, ListPage, PlaceVerdict, ViewedOrder,
};
pub use snapshot::{MAX_RESUMED, Snapshot, SnapshotRequest};
pub use sqlite::{BackupError, BackupReport, backup};
pub use store_connect::{StoreConnectError, connect, place};
pub use trouble::Trouble;

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
    #[error("the database is unreachable: {0}")]
    Unavailable(String),
    /// It names what is wrong with it. Most of that ends by waiting, until somebody has mended it.
    #[error("{trouble}: {1}", trouble = .0.words())]
    Trouble(Trouble, String),
    /// Others kept changing the same at the same moment. The database is well.
    #[error("other requests kept changing the same: {0}")]
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
            Self::Contended(_) => "other requests keep changing the same",
            Self::Failed(_) => "the database refused, or its schema is not the one of this program",
        }
    }
}

/// Heroes, meals and orders, durable.
pub trait Store:
    Menu<Hero> + Menu<Meal> + Placing + Reading + Work + Upkeep + Send + Sync + 'static
{
}

impl<T> Store for T where
    T: Menu<Hero> + Menu<Meal> + Placing + Reading + Work + Upkeep + Send + Sync + 'static
{
}
