//! Reading orders, and what changed since a cursor.

use async_trait::async_trait;
use galley_protocol::frame::Totals;
use galley_protocol::{ListOrders, OfHero, OrderId, OrderView, ResumeCursor};

use crate::StoreError;
use crate::changes::{Changes, ChangesOfAll, ChangesRequest, States};
use crate::cursors::CursorKeys;
use crate::requests::ViewedOrder;
use crate::snapshot::{Snapshot, SnapshotRequest};

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
