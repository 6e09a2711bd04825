//! The only crate that contains SQL: `PostgreSQL` and `SQLite` behind one trait.
//!
//! The database is the source of truth. Every transition is one guarded statement: it names the
//! status that it expects and raises the version by one. A caller that gets no row back has lost
//! the race and does nothing. Everything that a method returns has been committed to disk. This
//! crate publishes nothing.
//!
//! Requests that a hero waits for are batched: one statement, one commit, and one verdict per
//! request in the order of the requests. Callers keep batches within [`MAX_BATCH`].

mod areas;
mod change_pages;
mod codes;
mod cursor_keys;
mod database_outage;
mod low_watermark;
mod menu_area;
mod metered_store;
mod migrations;
mod postgres;
mod refolding;
pub mod requests;
mod row_values;
mod searching;
mod snapshot;
mod sqlite;
mod store_connect;
mod trouble;
mod verdict;

use std::time::Duration;

use galley_protocol::{Hero, Meal, Sentence};
use thiserror::Error;

pub use areas::{Placing, Reading, Tokens, Upkeep, Work};
pub use change_pages::{CHANGES_PAGE, Changes, ChangesOfAll, ChangesRequest, Deletion, States};
pub use cursor_keys::CursorKeys;
pub use menu_area::{Menu, MenuChanges, MenuPosition};
pub use migrations::OUTDATED;
pub use requests::{
    CancelVerdict, Census, ChangeError, Claim, ClaimFrom, Claimed, ConnectionLoad, Creation,
    DeleteVerdict, IdRange, Incarnations, ListPage, PlaceVerdict, SignOut, Ticket, ViewedOrder,
};
pub use searching::SEARCHED;
pub use snapshot::{MAX_ACTIVE, MAX_RESUMED, Snapshot, SnapshotRequest};
pub use sqlite::{BackupError, BackupReport, backup};
pub use store_connect::{
    DEFAULT_CONNECTIONS, MIN_CONNECTIONS, StoreConnectError, connect, connect_with, place,
};
pub use trouble::Trouble;

/// The most requests in one batch.
pub const MAX_BATCH: usize = 500;

/// The longest time that the database may work on one statement.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);

/// The most adoptions of an order from dead owners. After these it ends as `undeliverable`.
/// Adoptions of orders that were handed back do not count.
pub const MAX_ADOPTIONS: i32 = 5;

/// The least time for which idempotency keys and deleted orders are kept.
pub const RETENTION: Duration = Duration::from_hours(25);

/// The time within which a ticket must be used.
pub const TICKET_LIFE: Duration = Duration::from_secs(30);

/// The error of a request that the database did not carry out.
#[derive(Clone, Debug, Error)]
pub enum StoreError {
    /// The database is unreachable or too slow. The request may or may not have been applied.
    #[error("the database is unreachable: {0}")]
    Unavailable(String),
    /// The database reported a cause that it can name. Most of these end once someone has fixed it.
    #[error("{trouble}: {1}", trouble = .0.sentence())]
    Trouble(Trouble, String),
    /// Concurrent changes of the same rows came first at every try. The database is healthy.
    #[error("other requests kept changing the same: {0}")]
    Contended(String),
    /// An error that repeating does not cure, or an answer that cannot be valid.
    #[error("the database refused: {0}")]
    Failed(String),
}

impl StoreError {
    /// Returns true if a later attempt may succeed.
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

    /// The cause as callers read it, without paths and statements.
    #[must_use]
    pub fn words(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => Sentence::DatabaseUnreachable.template(),
            Self::Trouble(trouble, _) => trouble.sentence().template(),
            Self::Contended(_) => "other requests keep changing the same",
            Self::Failed(_) => "the database refused, or its schema is not the one of this program",
        }
    }
}

/// The outcome of a question to the database.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The durable store of heroes, meals and orders.
pub trait Store:
    Menu<Hero> + Menu<Meal> + Placing + Tokens + Reading + Work + Upkeep + Send + Sync + 'static
{
}

impl<T> Store for T where
    T: Menu<Hero> + Menu<Meal> + Placing + Tokens + Reading + Work + Upkeep + Send + Sync + 'static
{
}
