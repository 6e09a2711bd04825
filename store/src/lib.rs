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
mod connect;
mod cursors;
mod floor;
mod folding;
mod migrations;
mod outage;
mod postgres;
pub mod requests;
mod rows;
mod snapshot;
mod sqlite;
mod trouble;
mod verdict;

use std::time::Duration;

use async_trait::async_trait;
use galley_protocol::frame::Totals;
use galley_protocol::{
    CancelOrder, DeleteOrder, Hero, HeroId, HeroPatch, IdempotencyKey, IncarnationId, ListOrders,
    Meal, MealId, MealPatch, NewHero, NewMeal, OfHero, Order, OrderId, OrderView, PlaceOrder,
    PublisherId, ResumeCursor, Version,
};
use thiserror::Error;

pub use changes::{CHANGES_PAGE, Changes, ChangesOfAll, ChangesRequest, Deletion, States};
pub use connect::{ConnectError, connect, place};
pub use cursors::CursorKeys;
pub use migrations::OUTDATED;
pub use requests::{
    CancelVerdict, Census, Change, ChangeError, Claim, ClaimFrom, Claimed, Creation, DeleteVerdict,
    IdRange, Incarnations, ListPage, PlaceVerdict, RemoveError, ViewedOrder,
};
pub use snapshot::{MAX_RESUMED, Snapshot, SnapshotRequest};
pub use sqlite::{BackupError, BackupReport, backup};
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
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Brings the schema up to date; safe to call from several processes at once.
    async fn migrate(&self) -> Result<(), StoreError>;
    /// Whether the database answers and its schema is the one this program needs.
    async fn ping(&self) -> Result<(), StoreError>;

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

    /// Reads an order.
    async fn order(&self, id: OrderId) -> Result<Option<ViewedOrder>, StoreError>;
    /// Lists orders, newest first.
    async fn orders(&self, filter: &OfHero<ListOrders>) -> Result<Vec<OrderView>, StoreError>;
    /// Counts the orders by status.
    async fn totals(&self) -> Result<Totals, StoreError>;
    /// For each request the hero, its active orders and, from a cursor, what ended since, as far as
    /// that is not too much; nothing for an unknown hero.
    async fn snapshots(
        &self,
        requests: &[SnapshotRequest],
    ) -> Result<Vec<Option<Snapshot>>, StoreError>;

    /// For each request a page of what changed of one hero's orders since a cursor.
    async fn changes(&self, requests: &[ChangesRequest]) -> Result<Vec<Changes>, StoreError>;
    /// Reads what changed of anybody's orders since a cursor, by falling id: `limit` orders and
    /// deletions at most, all of them with ids below `before`, if given.
    async fn changes_of_all(
        &self,
        since: ResumeCursor,
        before: Option<OrderId>,
        limit: usize,
    ) -> Result<ChangesOfAll, StoreError>;

    /// Returns the cursor of this moment: everything below it is visible to whoever reads from now
    /// on.
    async fn present(&self) -> Result<ResumeCursor, StoreError>;
    /// The keys that sign cursors for clients. Known in memory.
    fn cursor_keys(&self) -> &CursorKeys;
    /// Reads a cursor that a client brought. One that cannot be read, or is of another history of
    /// the database, counts as [`ResumeCursor::EXPIRED`].
    async fn read_cursor(&self, text: &str) -> ResumeCursor;

    /// For each list of orders, of at most [`CHANGES_PAGE`], what they are now. Whose they are is
    /// not asked.
    async fn states(&self, lists: &[Vec<OrderId>]) -> Result<Vec<States>, StoreError>;

    /// Places orders. Of requests with the same key in one batch the first places, the others
    /// replay it.
    async fn place(
        &self,
        requests: &[OfHero<PlaceOrder, HeroId>],
    ) -> Result<Vec<PlaceVerdict>, StoreError>;
    /// Cancels orders that are PENDING or `IN_PROGRESS` at a hero's request.
    async fn cancel(
        &self,
        requests: &[OfHero<CancelOrder>],
    ) -> Result<Vec<CancelVerdict>, StoreError>;
    /// Deletes orders that have ended.
    async fn delete(
        &self,
        requests: &[OfHero<DeleteOrder>],
    ) -> Result<Vec<DeleteVerdict>, StoreError>;

    /// Begins a new incarnation and holds it alive, as long as this process lives and reaches the
    /// database.
    async fn enlist(&self) -> Result<IncarnationId, StoreError>;
    /// The incarnations.
    async fn incarnations(&self) -> Result<Incarnations, StoreError>;
    /// Shows others that this publisher lives, and that it hears updates if `hears`, until the next
    /// call or the end of this process; returns the publishers that are seen now. The incarnations
    /// of this process are kept alive as well. To be called every second.
    async fn census(&self, own: PublisherId, hears: bool) -> Result<Census, StoreError>;
    /// Takes PENDING orders: each becomes `IN_PROGRESS`, owned by `owner` and due after a random
    /// delay, or is CANCELLED at once because of an allergy or because its hero or meal is gone.
    /// Orders that are not PENDING are left out of the answer.
    async fn claim(
        &self,
        owner: IncarnationId,
        claim: Claim<'_>,
    ) -> Result<Vec<Claimed>, StoreError>;
    /// Takes over at most `limit` orders `IN_PROGRESS` whose owner is dead or handed them back,
    /// with their due time. One that has been adopted from the dead [`MAX_ADOPTIONS`] times before
    /// ends as `undeliverable` instead.
    async fn adopt(&self, owner: IncarnationId, limit: usize) -> Result<Vec<Claimed>, StoreError>;
    /// Completes those of the orders that are `IN_PROGRESS` and owned by `owner`; the others are
    /// left out of the answer.
    async fn complete(
        &self,
        owner: IncarnationId,
        orders: &[OrderId],
    ) -> Result<Vec<Order>, StoreError>;
    /// Hands back every order that `owner` holds, for others to adopt; says how many. Fails while
    /// the outcome of a statement of this process is not known: it may take orders, and be seen to
    /// have done so, much later.
    async fn hand_back(&self, owner: IncarnationId) -> Result<u64, StoreError>;

    /// The smallest id of an order that may still change. Known in memory; as fresh as the last
    /// [`Store::maintain`].
    fn floor(&self) -> OrderId;
    /// Moves the floor up, and forgets what is older than [`RETENTION`]. To be called every second
    /// or so.
    async fn maintain(&self) -> Result<(), StoreError>;

    /// Moves what was written so far to where a copy of the file alone finds it; nothing for a
    /// server.
    async fn checkpoint(&self) -> Result<(), StoreError>;
    /// Lets go of the database after the last request, and leaves it whole. Whatever is asked later
    /// is refused.
    async fn close(&self);
}
