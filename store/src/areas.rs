//! The store by area: what its callers may ask. [`Menu`](crate::Menu) is the fifth area.

use async_trait::async_trait;
use galley_protocol::frame::Totals;
use galley_protocol::{
    CancelOrder, DeleteOrder, HeroId, IncarnationId, ListOrders, OfHero, Order, OrderId, OrderView,
    PlaceOrder, PublisherId, ResumeCursor,
};

use crate::StoreError;
use crate::change_pages::{Changes, ChangesOfAll, ChangesRequest, States};
use crate::cursor_keys::CursorKeys;
use crate::requests::{
    CancelVerdict, Census, Claim, Claimed, DeleteVerdict, Incarnations, PlaceVerdict, ViewedOrder,
};
use crate::snapshot::{Snapshot, SnapshotRequest};

/// Requests of heroes that change their orders.
#[async_trait]
pub trait Placing {
    /// Places orders. Of requests with the same key in one batch the first places, the others
    /// replay it.
    async fn place(
        &self,
        requests: &[OfHero<PlaceOrder, HeroId>],
    ) -> Result<Vec<PlaceVerdict>, StoreError>;
    /// Cancels active orders at a hero's request.
    async fn cancel(
        &self,
        requests: &[OfHero<CancelOrder>],
    ) -> Result<Vec<CancelVerdict>, StoreError>;
    /// Deletes orders that have ended.
    async fn delete(
        &self,
        requests: &[OfHero<DeleteOrder>],
    ) -> Result<Vec<DeleteVerdict>, StoreError>;
}

/// Reads of orders; they change nothing.
#[async_trait]
pub trait Reading {
    /// Reads an order.
    async fn order(&self, id: OrderId) -> Result<Option<ViewedOrder>, StoreError>;
    /// Lists orders, newest first.
    async fn orders(&self, filter: &OfHero<ListOrders>) -> Result<Vec<OrderView>, StoreError>;
    /// Counts the orders by status.
    async fn totals(&self) -> Result<Totals, StoreError>;
    /// Reads for each request the hero, its active orders and, from a cursor, what ended since, as
    /// far as that is not too much; nothing for an unknown hero.
    async fn snapshots(
        &self,
        requests: &[SnapshotRequest],
    ) -> Result<Vec<Option<Snapshot>>, StoreError>;

    /// Reads for each request a page of what changed of one hero's orders since a cursor.
    async fn changes(&self, requests: &[ChangesRequest]) -> Result<Vec<Changes>, StoreError>;
    /// Reads what changed of anybody's orders since a cursor, by falling id: `limit` orders and
    /// deletions at most, all of them with ids below `before`, if given.
    async fn changes_of_all(
        &self,
        since: ResumeCursor,
        before: Option<OrderId>,
        limit: usize,
    ) -> Result<ChangesOfAll, StoreError>;
    /// Reads what the orders of each list are now. A list has at most
    /// [`CHANGES_PAGE`](crate::CHANGES_PAGE) ids, of any hero.
    async fn states(&self, lists: &[Vec<OrderId>]) -> Result<Vec<States>, StoreError>;

    /// Returns the cursor of this moment: everything below it is visible to whoever reads from now
    /// on.
    async fn present(&self) -> Result<ResumeCursor, StoreError>;
    /// The keys that sign cursors for clients. Known in memory.
    fn cursor_keys(&self) -> &CursorKeys;
    /// Reads a cursor that a client brought. One that cannot be read, or is of another history of
    /// the database, counts as [`ResumeCursor::EXPIRED`].
    async fn read_cursor(&self, text: &str) -> ResumeCursor;
}

/// Everything that a worker does with orders.
#[async_trait]
pub trait Work {
    /// Takes PENDING orders: each becomes `IN_PROGRESS`, owned by `owner` and due after a random
    /// delay, or is CANCELLED at once because of an allergy or because its hero or meal is gone.
    /// Orders that are not PENDING are left out of the answer.
    async fn claim(
        &self,
        owner: IncarnationId,
        claim: Claim<'_>,
    ) -> Result<Vec<Claimed>, StoreError>;
    /// Takes over at most `limit` orders `IN_PROGRESS` whose owner is dead or handed them back,
    /// with their due time. One that has been adopted from the dead
    /// [`MAX_ADOPTIONS`](crate::MAX_ADOPTIONS) times before ends as `undeliverable` instead.
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
    /// Begins a new incarnation and holds it alive, as long as this process lives and reaches the
    /// database.
    async fn enlist(&self) -> Result<IncarnationId, StoreError>;
    /// The incarnations.
    async fn incarnations(&self) -> Result<Incarnations, StoreError>;
}

/// Everything that every process does from its start to its end.
#[async_trait]
pub trait Upkeep {
    /// Brings the schema up to date; safe to call from several processes at once.
    async fn migrate(&self) -> Result<(), StoreError>;
    /// Tests that the database answers and that its schema is the one this program needs.
    async fn ping(&self) -> Result<(), StoreError>;
    /// Shows others that this publisher lives, and that it receives updates if `receives`, until the next
    /// call or the end of this process; returns the publishers that are seen now. The incarnations
    /// of this process are kept alive as well. To be called every second.
    async fn census(&self, own: PublisherId, receives: bool) -> Result<Census, StoreError>;
    /// The smallest id of an order that may still change. Known in memory; as fresh as the last
    /// [`Upkeep::maintain`].
    fn low_watermark(&self) -> OrderId;
    /// Moves the low watermark up, and forgets what is older than [`RETENTION`](crate::RETENTION). To be
    /// called every second or so.
    async fn maintain(&self) -> Result<(), StoreError>;
    /// Moves what was written so far to where a copy of the file alone finds it; nothing for a
    /// server.
    async fn checkpoint(&self) -> Result<(), StoreError>;
    /// Lets go of the database after the last request, and leaves it whole. Whatever is asked later
    /// is refused.
    async fn close(&self);
}
