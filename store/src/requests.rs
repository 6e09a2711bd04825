//! Requests to the store, and their outcomes.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use galley_protocol::{
    Deleted, HeroId, IncarnationId, OfHero, Order, OrderId, OrderView, PageCursor, PlaceOrder,
    PublisherId, ResumeCursor, Timestamp, Version,
};
use thiserror::Error;

use crate::StoreError;

/// A request for one page of heroes or meals.
#[derive(Clone, Debug)]
pub struct ListPage {
    /// The most rows of the page.
    pub limit: usize,
    /// The place after which the page begins; `None` for the first page.
    pub after: Option<PageCursor>,
    /// A text that names must contain, compared after folding like allergies.
    pub name_contains: Option<String>,
}

/// An order with its hero and its meal, read on its own.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewedOrder {
    /// The order with its hero and its meal.
    pub view: OrderView,
    /// The version of the hero: with the order's version it identifies this state of the view.
    pub hero_version: Version,
}

/// The last sign-out of a hero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignOut {
    /// The hero.
    pub hero_id: HeroId,
    /// Its time in seconds since the epoch, rounded down. Tokens that were issued in this second or
    /// before are refused.
    pub second: u64,
}

/// A ticket, which opens one socket or event stream for the caller of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The hero of the token; `None` for staff.
    pub hero_id: Option<HeroId>,
    /// The hash of the subject of the token.
    pub subject: u64,
    /// The subject as the log shows it.
    pub name: String,
    /// Begin of the life of the token, in seconds since the epoch, if it says so.
    pub issued: Option<u64>,
    /// End of the life of the token, in seconds since the epoch.
    pub token_expires: u64,
    /// The origin of the page that asked for it.
    pub origin: Option<String>,
}

/// The reason why a hero or a meal was not changed or deleted.
#[derive(Clone, Debug, Error)]
pub enum ChangeError {
    /// There is no row with this id.
    #[error("not found")]
    NotFound,
    /// The version differs from the expected one.
    #[error("another version")]
    Stale,
    /// It cannot be deleted: one of its orders is active.
    #[error("has active orders")]
    HasActiveOrders,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The scope of the key (the hero's id) and the key, as stored in a row.
pub(crate) fn scoped_key(request: &OfHero<PlaceOrder, HeroId>) -> Option<(i64, &str)> {
    request.command.key.as_ref().map(|key| (request.hero_id.get(), key.as_str()))
}

/// The outcome of creating a hero or a meal under a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Creation<T> {
    /// The new row was stored.
    Created(T),
    /// The key is known with the same body. The row as it is now, or its last state if deleted.
    Replayed(T),
    /// The key is known with another body.
    KeyReused,
}

/// The outcome of a placement.
#[derive(Clone, Debug, PartialEq)]
pub enum PlaceVerdict {
    /// The order was stored as PENDING.
    Placed(Order),
    /// The key is known with the same hero and meal. The order as it is, or its last state.
    Replayed(Order),
    /// The key is known with another hero or meal.
    KeyReused,
    /// There is no such hero.
    HeroNotFound,
    /// There is no such meal.
    MealNotFound,
}

/// The outcome of a cancellation.
#[derive(Clone, Debug, PartialEq)]
pub enum CancelVerdict {
    /// This request cancelled the order.
    Cancelled(Order),
    /// The order had ended before.
    AlreadyFinished(Order),
    /// The version differs from the expected one. Contains the order as it is now.
    Stale(Order),
    /// There is no such order, or it belongs to another hero.
    NotFound,
}

/// The outcome of a deletion.
#[derive(Clone, Debug, PartialEq)]
pub enum DeleteVerdict {
    /// This request deleted the order.
    Deleted {
        /// The order's id and the version of its deletion.
        deleted: Deleted,
        /// The hero who had placed it.
        hero_id: HeroId,
        /// The time of the deletion.
        time: Timestamp,
    },
    /// The order is active.
    NotFinished(Order),
    /// The version differs from the expected one. Contains the order as it is now.
    Stale(Order),
    /// There is no such order, or it belongs to another hero.
    NotFound,
}

/// The connections of one process to a database server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionLoad {
    /// Number of open connections.
    pub open: usize,
    /// Number of connections that work for an operation.
    pub used: usize,
    /// Number of operations that wait for one.
    pub waiting: usize,
}

/// The incarnations of workers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Incarnations {
    /// The living incarnations that this process sees; others may be alive without their lock.
    pub living: BTreeSet<IncarnationId>,
    /// The incarnation that began last; `living` may not contain it yet, or not any more.
    pub newest: Option<IncarnationId>,
}

/// The publishers on one database.
#[derive(Clone, Debug, PartialEq)]
pub struct Census {
    /// The living publishers.
    pub living: BTreeSet<PublisherId>,
    /// The living publishers that receive updates.
    pub hearing: BTreeSet<PublisherId>,
    /// The cursor of this census. Others than `living` committed nothing before it, or are dead.
    pub safe: ResumeCursor,
    /// A position above every transaction that has begun. Once `safe` reaches it, all have ended.
    pub next: i64,
}

/// The orders to claim, and the range of their preparation times.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// The source of the orders.
    pub from: ClaimFrom<'a>,
    /// The range of preparation times, uniformly random.
    pub delay: RangeInclusive<Duration>,
}

/// The source of the orders to claim.
#[derive(Clone, Copy, Debug)]
pub enum ClaimFrom<'a> {
    /// Entries of the queue. The claim waits for locked rows, so that it settles every entry.
    Entries(&'a [OrderId]),
    /// A scan of the database for the oldest PENDING orders. It skips rows that others have locked.
    Oldest {
        /// The range of ids to scan.
        ids: IdRange,
        /// The least age of an order.
        age: Duration,
        /// The most orders to claim.
        limit: usize,
    },
}

/// A range of order ids; all of them by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdRange {
    /// The id below the range; `None` begins at the first order.
    pub after: Option<OrderId>,
    /// The last id of the range; `None` ends at the last order.
    pub until: Option<OrderId>,
}

impl IdRange {
    pub(crate) fn last(self) -> i64 {
        self.until.map_or(i64::MAX, OrderId::get)
    }
}

/// An order that a worker claimed or adopted.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// The order: `IN_PROGRESS`, or CANCELLED at once.
    pub order: Order,
    /// The remaining preparation time; zero if it has passed.
    pub due_in: Duration,
}
