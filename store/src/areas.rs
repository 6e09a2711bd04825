//! The interface of the store, one trait per area. [`Menu`](crate::Menu) is the fifth area.

use std::time::Duration;

use async_trait::async_trait;
use galley_protocol::finding::Finding;
use galley_protocol::frame::{Page, Totals};
use galley_protocol::{
    CancelOrder, DeleteOrder, HeroId, IncarnationId, ListOrders, OfHero, Order, OrderId, OrderView,
    PlaceOrder, PublisherId, ResumeCursor,
};

use crate::change_pages::{Changes, ChangesOfAll, ChangesRequest, States};
use crate::cursor_keys::CursorKeys;
use crate::requests::{
    CancelVerdict, Census, Claim, Claimed, ConnectionLoad, DeleteVerdict, Incarnations,
    PlaceVerdict, SignOut, Ticket, ViewedOrder,
};
use crate::snapshot::{Snapshot, SnapshotRequest};
use crate::{Result, StoreConnectError};

/// Requests of heroes that change their orders.
#[async_trait]
pub trait Placing {
    /// Places orders. Of equal keys in a batch the first places an order, the others replay it.
    async fn place(&self, requests: &[OfHero<PlaceOrder, HeroId>]) -> Result<Vec<PlaceVerdict>>;
    /// Cancels active orders at a hero's request.
    async fn cancel(&self, requests: &[OfHero<CancelOrder>]) -> Result<Vec<CancelVerdict>>;
    /// Deletes orders that have ended.
    async fn delete(&self, requests: &[OfHero<DeleteOrder>]) -> Result<Vec<DeleteVerdict>>;
}

/// Sign-outs of heroes, and tickets, for all gateways.
#[async_trait]
pub trait Tokens {
    /// Ends the tokens of a hero that were issued until now, by the clock of the database. Returns
    /// `None` if there is no such hero.
    async fn sign_out(&self, hero_id: HeroId) -> Result<Option<SignOut>>;
    /// Reads the last sign-outs of heroes within this time, by the clock of the database.
    async fn sign_outs(&self, within: Duration) -> Result<Vec<SignOut>>;
    /// Keeps a ticket by the digest of its text for [`TICKET_LIFE`](crate::TICKET_LIFE), by the clock
    /// of the database. Forgets those that have ended.
    async fn keep_ticket(&self, digest: &str, ticket: &Ticket) -> Result<()>;
    /// Takes a ticket away, and returns it unless it has ended. No ticket is returned twice.
    async fn take_ticket(&self, digest: &str) -> Result<Option<Ticket>>;
}

/// Reads of orders.
#[async_trait]
pub trait Reading {
    /// Reads an order.
    async fn order(&self, id: OrderId) -> Result<Option<ViewedOrder>>;
    /// Lists orders, newest first. A page looks at no more than [`SEARCHED`](crate::SEARCHED) rows.
    async fn orders(&self, filter: &OfHero<ListOrders>) -> Result<Page<OrderView>>;
    /// Counts the orders by status.
    async fn totals(&self) -> Result<Totals>;
    /// Returns the age of the oldest PENDING order, by the clock of the database; `None` if there is
    /// none.
    async fn oldest_pending(&self) -> Result<Option<Duration>>;
    /// Counts the orders of a hero that have not ended, up to `at_most`.
    async fn open_orders(&self, hero_id: HeroId, at_most: usize) -> Result<usize>;
    /// Reads the heroes that were deleted within this time, by the clock of the database; `None` for
    /// all that ever were.
    async fn deleted_heroes(&self, within: Option<Duration>) -> Result<Vec<HeroId>>;
    /// Reads a snapshot for each request (`None` for an unknown hero): up to
    /// [`MAX_ACTIVE`](crate::MAX_ACTIVE) active orders, and with a cursor also the orders that
    /// ended or were deleted since, up to [`MAX_RESUMED`](crate::MAX_RESUMED).
    async fn snapshots(&self, requests: &[SnapshotRequest]) -> Result<Vec<Option<Snapshot>>>;

    /// Reads one page for each request: the orders of one hero that changed since a cursor.
    async fn changes(&self, requests: &[ChangesRequest]) -> Result<Vec<Changes>>;
    /// Reads the orders of all heroes that changed since a cursor, by falling id: at most `limit`
    /// orders and deletions together, with ids below `before` if that is given.
    async fn changes_of_all(
        &self,
        since: ResumeCursor,
        before: Option<OrderId>,
        limit: usize,
    ) -> Result<ChangesOfAll>;
    /// Reads the present states of each list, at most [`CHANGES_PAGE`](crate::CHANGES_PAGE) ids.
    async fn states(&self, lists: &[Vec<OrderId>]) -> Result<Vec<States>>;

    /// The cursor of this moment: every change below it is visible to all later reads.
    async fn present(&self) -> Result<ResumeCursor>;
    /// The number of reads that run at once; further ones wait.
    fn reads_at_once(&self) -> usize;
    /// The keys that sign the cursors of clients, from memory.
    fn cursor_keys(&self) -> &CursorKeys;
    /// Verifies a client's cursor; [`ResumeCursor::EXPIRED`] if unreadable or of another history.
    async fn read_cursor(&self, text: &str) -> ResumeCursor;
}

/// The operations of a worker.
#[async_trait]
pub trait Work {
    /// Claims PENDING orders. Each becomes `IN_PROGRESS`, owned by `owner` and due after a random
    /// delay, or is CANCELLED at once because of an allergy or because its hero or meal was
    /// deleted. The answer omits orders that are not PENDING.
    async fn claim(&self, owner: IncarnationId, claim: Claim<'_>) -> Result<Vec<Claimed>>;
    /// Adopts at most `limit` orders `IN_PROGRESS` whose owner is dead or handed them back. Their
    /// due times stay. An order that was adopted from dead owners
    /// [`MAX_ADOPTIONS`](crate::MAX_ADOPTIONS) times before ends as `undeliverable` instead.
    async fn adopt(&self, owner: IncarnationId, limit: usize) -> Result<Vec<Claimed>>;
    /// Completes the orders `IN_PROGRESS` that `owner` owns; the answer omits the others.
    async fn complete(&self, owner: IncarnationId, orders: &[OrderId]) -> Result<Vec<Order>>;
    /// Hands back every order of `owner` for others to adopt, and returns their number. Fails while
    /// the outcome of a statement of this process is unknown: that statement may still claim
    /// orders, and its effect may become visible only later.
    async fn hand_back(&self, owner: IncarnationId) -> Result<u64>;
    /// Begins a new incarnation, alive while this process lives and reaches the database.
    async fn enlist(&self) -> Result<IncarnationId>;
    /// Reads the newest incarnation and the living ones.
    async fn incarnations(&self) -> Result<Incarnations>;
}

/// The operations that every process needs from its start to its end.
#[async_trait]
pub trait Upkeep {
    /// Brings the schema up to date. Several processes may call this at once.
    async fn migrate(&self) -> Result<()>;
    /// Tests that the database answers and that its schema is the one this program needs.
    async fn ping(&self) -> Result<()>;
    /// Shows the other processes that this publisher is alive, and with `receives` that it receives
    /// updates, until the next call or the end of this process. Also keeps the incarnations of this
    /// process alive. Returns the living publishers. Callers must repeat this every second.
    async fn census(&self, own: PublisherId, receives: bool) -> Result<Census>;
    /// The smallest id of an order that may still change, as of the last [`Upkeep::maintain`].
    fn low_watermark(&self) -> OrderId;
    /// Raises the low watermark, and forgets what is older than [`RETENTION`](crate::RETENTION).
    /// Callers should repeat this about every second.
    async fn maintain(&self) -> Result<()>;
    /// Moves the write-ahead log into the database file, so that a copy of that file alone is
    /// complete. Does nothing for a database server.
    async fn checkpoint(&self) -> Result<()>;
    /// Looks at the server, for people who set it up; a file has nothing to see.
    async fn findings(&self) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
    /// Returns the connections of this process to a database server; a file has none.
    fn connections(&self) -> ConnectionLoad {
        ConnectionLoad::default()
    }
    /// Takes the user, the password and the servers of this URL for further connections. A file
    /// has none.
    ///
    /// # Errors
    /// [`StoreConnectError::BadUrl`]; the earlier URL stays in force.
    fn renew_url(&self, _url: &str) -> std::result::Result<(), StoreConnectError> {
        Ok(())
    }
    /// Closes the database, consistent, after the last request. Later requests are refused.
    async fn close(&self);
}
