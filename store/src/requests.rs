//! What is asked of the store, and its verdicts.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use galley_protocol::{
    Deleted, HeroId, IncarnationId, ListOrders, OfHero, Order, OrderId, OrderView, PageCursor,
    PlaceOrder, PublisherId, ResumeCursor, Timestamp, Version,
};
use thiserror::Error;

use crate::StoreError;

/// A page of heroes or meals.
#[derive(Clone, Debug)]
pub struct ListPage {
    /// At most so many.
    pub limit: usize,
    /// Only those after this place.
    pub after: Option<PageCursor>,
    /// Only those whose name contains this, folded like allergies.
    pub name_contains: Option<String>,
}

/// An order as it is read by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewedOrder {
    /// The order, with its hero and its meal.
    pub view: OrderView,
    /// The version of the hero. Together with that of the order it tells one view from every other.
    pub hero_version: Version,
}

/// The cause for which a hero or a meal was not changed or deleted.
#[derive(Clone, Debug, Error)]
pub enum ChangeError {
    /// There is none with this id.
    #[error("not found")]
    NotFound,
    /// It has another version than expected.
    #[error("another version")]
    Stale,
    /// An order on it is active, and it was to be deleted.
    #[error("has active orders")]
    HasActiveOrders,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The key's scope, which is the hero's id, and the key, as a row has them.
pub(crate) fn scoped_key(request: &OfHero<PlaceOrder, HeroId>) -> Option<(i64, &str)> {
    request.command.key.as_ref().map(|key| (request.hero_id.get(), key.as_str()))
}

/// The smallest id that an order of the page can have. Orders below the low watermark are not active.
pub(crate) fn first_id(command: &ListOrders, low_watermark: OrderId) -> i64 {
    let active_only =
        !command.status.is_empty() && command.status.iter().all(|status| status.is_active());
    if active_only { low_watermark.get() } else { 1 }
}

/// The outcome of creating a hero or a meal under a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Creation<T> {
    /// It is stored.
    Created(T),
    /// The key is known, with the same body: this is what was created then, as it is now (its last
    /// state when it was deleted).
    Replayed(T),
    /// The key is known with another body.
    KeyReused,
}

/// The outcome of a placement.
#[derive(Clone, Debug, PartialEq)]
pub enum PlaceVerdict {
    /// It is stored, PENDING.
    Placed(Order),
    /// The key is known, with the same hero and meal: this is the order as it is now (its last
    /// state when it was deleted).
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
    /// It is CANCELLED now, by this request.
    Cancelled(Order),
    /// It had ended before.
    AlreadyFinished(Order),
    /// It has another version than expected; this is how it is.
    Stale(Order),
    /// There is no such order, or it is another hero's.
    NotFound,
}

/// The outcome of a deletion.
#[derive(Clone, Debug, PartialEq)]
pub enum DeleteVerdict {
    /// It is gone now, by this request.
    Deleted {
        /// The order and the version of its deletion.
        deleted: Deleted,
        /// Whose it was.
        hero_id: HeroId,
        /// When it was deleted.
        time: Timestamp,
    },
    /// It is active.
    NotFinished(Order),
    /// It has another version than expected; this is how it is.
    Stale(Order),
    /// There is no such order, or it is another hero's.
    NotFound,
}

/// The incarnations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Incarnations {
    /// The living, as far as this process can see: one that is missing may be dead, or may have
    /// lost its lock.
    pub living: BTreeSet<IncarnationId>,
    /// The one that began last, which may not be seen alive yet, or not any more.
    pub newest: Option<IncarnationId>,
}

/// The processes that publish on one database.
#[derive(Clone, Debug, PartialEq)]
pub struct Census {
    /// The living publishers.
    pub living: BTreeSet<PublisherId>,
    /// The living publishers that hear updates.
    pub hearing: BTreeSet<PublisherId>,
    /// The cursor of this moment. A publisher that is not among the living has committed nothing
    /// before it, or is dead.
    pub safe: ResumeCursor,
    /// The position above every transaction that has begun. Once the safe cursor has come so far,
    /// all of these have ended.
    pub next: i64,
}

/// The orders to claim, and the range of their preparation times.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// The from.
    pub from: ClaimFrom<'a>,
    /// The preparation, uniform random.
    pub delay: RangeInclusive<Duration>,
}

/// Where the orders to claim come from.
#[derive(Clone, Copy, Debug)]
pub enum ClaimFrom<'a> {
    /// Entries of the queue. Rows that others hold are waited for, so that an entry is settled when
    /// this returns.
    Entries(&'a [OrderId]),
    /// The database itself: the oldest PENDING orders of at least this age, at most so many,
    /// leaving out rows that others hold.
    Oldest {
        /// The range of ids; each of them is looked at.
        ids: IdRange,
        /// Their least age.
        age: Duration,
        /// At most so many.
        limit: usize,
    },
}

/// Orders by their ids; all of them by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdRange {
    /// The ids above this one.
    pub after: Option<OrderId>,
    /// The ids up to this one.
    pub until: Option<OrderId>,
}

impl IdRange {
    /// No id of the range is greater than this.
    pub(crate) fn last(self) -> i64 {
        self.until.map_or(i64::MAX, OrderId::get)
    }
}

/// An order that a worker took.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// `IN_PROGRESS`, or CANCELLED at once.
    pub order: Order,
    /// When its preparation ends, from now; zero when it is past.
    pub due_in: Duration,
}
