//! A store that measures another one: the time of each operation, the sizes of batches, errors,
//! and the outcomes of orders.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use galley_protocol::finding::Finding;
use galley_protocol::frame::{Page, Totals};
use galley_protocol::{
    CancelOrder, DeleteOrder, Hero, HeroId, IdempotencyKey, IncarnationId, ListOrders, OfHero,
    Order, OrderId, OrderView, PlaceOrder, PublisherId, Resource, ResumeCursor, Version,
};
use galley_telemetry::{
    BATCH_SIZE, DATABASE_ERRORS, DATABASE_SECONDS, ORDERS_CANCELLED, ORDERS_DELETED, ORDERS_PLACED,
};
use metrics::{counter, histogram};

use crate::{
    CancelVerdict, Census, ChangeError, Changes, ChangesOfAll, ChangesRequest, Claim, Claimed,
    ConnectionLoad, Creation, CursorKeys, DeleteVerdict, Incarnations, ListPage, Menu, MenuChanges,
    MenuPosition, PlaceVerdict, Placing, Reading, Result, SignOut, Snapshot, SnapshotRequest,
    States, Store, StoreConnectError, StoreError, Ticket, Tokens, Upkeep, ViewedOrder, Work,
};

/// Measures each operation of the store within.
pub(crate) struct MeteredStore<S>(pub(crate) S);

/// Runs an operation; records its time and its error.
async fn timed<T, E: Failing>(
    operation: &'static str,
    running: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let began = Instant::now();
    let outcome = running.await;
    histogram!(DATABASE_SECONDS, "operation" => operation).record(began.elapsed());
    if let Err(error) = &outcome
        && let Some(error) = error.store_error()
    {
        let kind = match error {
            StoreError::Unavailable(_) => "unavailable",
            StoreError::Trouble(..) => "trouble",
            StoreError::Contended(_) => "contended",
            StoreError::Failed(_) => "failed",
        };
        counter!(DATABASE_ERRORS, "operation" => operation, "kind" => kind).increment(1);
    }
    outcome
}

/// Runs an operation on a batch; records its size as well.
async fn batch<T>(
    operation: &'static str,
    size: usize,
    running: impl Future<Output = Result<T>>,
) -> Result<T> {
    record_size(operation, size);
    timed(operation, running).await
}

fn record_size(operation: &'static str, size: usize) {
    #[expect(clippy::cast_precision_loss, reason = "at most a batch")]
    histogram!(BATCH_SIZE, "operation" => operation).record(size as f64);
}

/// An error that may come from the database.
trait Failing {
    fn store_error(&self) -> Option<&StoreError>;
}

impl Failing for StoreError {
    fn store_error(&self) -> Option<&StoreError> {
        Some(self)
    }
}

impl Failing for ChangeError {
    fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::NotFound | Self::Stale | Self::HasActiveOrders => None,
        }
    }
}

#[async_trait]
impl<R: Resource, S: Menu<R>> Menu<R> for MeteredStore<S>
where
    R::Id: Send,
{
    async fn create_once(&self, new: &R::New, key: Option<&IdempotencyKey>) -> Result<Creation<R>> {
        timed(menu_of::<R>(), self.0.create_once(new, key)).await
    }

    async fn get(&self, id: R::Id) -> Result<Option<R>> {
        timed(menu_of::<R>(), self.0.get(id)).await
    }

    async fn list(&self, page: &ListPage) -> Result<Page<R>> {
        timed(menu_of::<R>(), self.0.list(page)).await
    }

    async fn update(
        &self,
        id: R::Id,
        patch: &R::Patch,
        expected: Option<Version>,
    ) -> Result<R, ChangeError> {
        timed(menu_of::<R>(), self.0.update(id, patch, expected)).await
    }

    async fn remove(&self, id: R::Id, expected: Option<Version>) -> Result<(), ChangeError> {
        timed(menu_of::<R>(), self.0.remove(id, expected)).await
    }

    async fn changed_since(
        &self,
        since: Option<&MenuPosition>,
        after: Option<R::Id>,
        limit: usize,
    ) -> Result<MenuChanges<R>> {
        timed("menu_changes", self.0.changed_since(since, after, limit)).await
    }
}

/// Returns the name of all operations on heroes or on meals.
fn menu_of<R: Resource>() -> &'static str {
    if R::WORD == Hero::WORD { "heroes" } else { "meals" }
}

#[async_trait]
impl<S: Store> Placing for MeteredStore<S> {
    async fn place(&self, requests: &[OfHero<PlaceOrder, HeroId>]) -> Result<Vec<PlaceVerdict>> {
        let verdicts = batch("place", requests.len(), self.0.place(requests)).await?;
        for verdict in &verdicts {
            let verdict = match verdict {
                PlaceVerdict::Placed(_) => "placed",
                PlaceVerdict::Replayed(_) => "replayed",
                PlaceVerdict::KeyReused => "key-reused",
                PlaceVerdict::HeroNotFound => "unknown-hero",
                PlaceVerdict::MealNotFound => "unknown-meal",
            };
            counter!(ORDERS_PLACED, "verdict" => verdict).increment(1);
        }
        Ok(verdicts)
    }

    async fn cancel(&self, requests: &[OfHero<CancelOrder>]) -> Result<Vec<CancelVerdict>> {
        let verdicts = batch("cancel", requests.len(), self.0.cancel(requests)).await?;
        let is_cancelled =
            |verdict: &&CancelVerdict| matches!(verdict, CancelVerdict::Cancelled(_));
        let cancelled = verdicts.iter().filter(is_cancelled).count();
        counter!(ORDERS_CANCELLED, "reason" => "hero_request").increment(cancelled as u64);
        Ok(verdicts)
    }

    async fn delete(&self, requests: &[OfHero<DeleteOrder>]) -> Result<Vec<DeleteVerdict>> {
        let verdicts = batch("delete", requests.len(), self.0.delete(requests)).await?;
        let is_deleted =
            |verdict: &&DeleteVerdict| matches!(verdict, DeleteVerdict::Deleted { .. });
        counter!(ORDERS_DELETED).increment(verdicts.iter().filter(is_deleted).count() as u64);
        Ok(verdicts)
    }
}

#[async_trait]
impl<S: Store> Tokens for MeteredStore<S> {
    async fn sign_out(&self, hero_id: HeroId) -> Result<Option<SignOut>> {
        timed("sign_out", self.0.sign_out(hero_id)).await
    }

    async fn sign_outs(&self, within: Duration) -> Result<Vec<SignOut>> {
        timed("sign_outs", self.0.sign_outs(within)).await
    }

    async fn keep_ticket(&self, digest: &str, ticket: &Ticket) -> Result<()> {
        timed("keep_ticket", self.0.keep_ticket(digest, ticket)).await
    }

    async fn take_ticket(&self, digest: &str) -> Result<Option<Ticket>> {
        timed("take_ticket", self.0.take_ticket(digest)).await
    }
}

#[async_trait]
impl<S: Store> Reading for MeteredStore<S> {
    async fn order(&self, id: OrderId) -> Result<Option<ViewedOrder>> {
        timed("order", self.0.order(id)).await
    }

    async fn orders(&self, filter: &OfHero<ListOrders>) -> Result<Page<OrderView>> {
        timed("orders", self.0.orders(filter)).await
    }

    async fn totals(&self) -> Result<Totals> {
        timed("totals", self.0.totals()).await
    }

    async fn oldest_pending(&self) -> Result<Option<Duration>> {
        timed("oldest_pending", self.0.oldest_pending()).await
    }

    async fn open_orders(&self, hero_id: HeroId, at_most: usize) -> Result<usize> {
        timed("open_orders", self.0.open_orders(hero_id, at_most)).await
    }

    async fn deleted_heroes(&self, within: Option<Duration>) -> Result<Vec<HeroId>> {
        timed("deleted_heroes", self.0.deleted_heroes(within)).await
    }

    async fn snapshots(&self, requests: &[SnapshotRequest]) -> Result<Vec<Option<Snapshot>>> {
        batch("snapshots", requests.len(), self.0.snapshots(requests)).await
    }

    async fn changes(&self, requests: &[ChangesRequest]) -> Result<Vec<Changes>> {
        batch("changes", requests.len(), self.0.changes(requests)).await
    }

    async fn changes_of_all(
        &self,
        since: ResumeCursor,
        before: Option<OrderId>,
        limit: usize,
    ) -> Result<ChangesOfAll> {
        timed("changes_of_all", self.0.changes_of_all(since, before, limit)).await
    }

    async fn states(&self, lists: &[Vec<OrderId>]) -> Result<Vec<States>> {
        batch("states", lists.len(), self.0.states(lists)).await
    }

    async fn present(&self) -> Result<ResumeCursor> {
        timed("present", self.0.present()).await
    }

    fn reads_at_once(&self) -> usize {
        self.0.reads_at_once()
    }

    fn cursor_keys(&self) -> &CursorKeys {
        self.0.cursor_keys()
    }

    async fn read_cursor(&self, text: &str) -> ResumeCursor {
        self.0.read_cursor(text).await
    }
}

#[async_trait]
impl<S: Store> Work for MeteredStore<S> {
    async fn claim(&self, owner: IncarnationId, claim: Claim<'_>) -> Result<Vec<Claimed>> {
        let claimed = timed("claim", self.0.claim(owner, claim)).await?;
        if !claimed.is_empty() {
            record_size("claim", claimed.len());
        }
        Ok(claimed)
    }

    async fn adopt(&self, owner: IncarnationId, limit: usize) -> Result<Vec<Claimed>> {
        timed("adopt", self.0.adopt(owner, limit)).await
    }

    async fn complete(&self, owner: IncarnationId, orders: &[OrderId]) -> Result<Vec<Order>> {
        batch("complete", orders.len(), self.0.complete(owner, orders)).await
    }

    async fn hand_back(&self, owner: IncarnationId) -> Result<u64> {
        timed("hand_back", self.0.hand_back(owner)).await
    }

    async fn enlist(&self) -> Result<IncarnationId> {
        timed("enlist", self.0.enlist()).await
    }

    async fn incarnations(&self) -> Result<Incarnations> {
        timed("incarnations", self.0.incarnations()).await
    }
}

#[async_trait]
impl<S: Store> Upkeep for MeteredStore<S> {
    async fn migrate(&self) -> Result<()> {
        self.0.migrate().await
    }

    async fn ping(&self) -> Result<()> {
        timed("ping", self.0.ping()).await
    }

    async fn census(&self, own: PublisherId, receives: bool) -> Result<Census> {
        timed("census", self.0.census(own, receives)).await
    }

    fn low_watermark(&self) -> OrderId {
        self.0.low_watermark()
    }

    async fn maintain(&self) -> Result<()> {
        timed("maintain", self.0.maintain()).await
    }

    async fn checkpoint(&self) -> Result<()> {
        self.0.checkpoint().await
    }

    async fn findings(&self) -> Result<Vec<Finding>> {
        self.0.findings().await
    }

    fn connections(&self) -> ConnectionLoad {
        self.0.connections()
    }

    fn renew_url(&self, url: &str) -> std::result::Result<(), StoreConnectError> {
        self.0.renew_url(url)
    }

    async fn close(&self) {
        self.0.close().await;
    }
}
