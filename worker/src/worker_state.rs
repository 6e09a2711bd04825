//! The shared state of the parts of a worker: the store, the bus, the orders in preparation, and
//! flags.
//!
//! Locks are held briefly and never across an await.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use galley_bus::{BusError, SharedBus};
use galley_fail_points::{FailPoint, reach};
use galley_protocol::{IncarnationId, OrderId, Reason, Status, Update, WorkerReport};
use galley_store::{Claim, ClaimFrom, Claimed, MAX_BATCH, Store, StoreError};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::preparation::{DueOrder, Preparation};
use crate::store_outage::StoreOutage;
use crate::traced_orders::TracedOrders;
use crate::work_counts::WorkCounts;

/// The most orders that one worker holds. At the bound it takes no more entries; they stay on the
/// queue for other workers.
const MAX_HELD: usize = 200_000;

/// The longest delay of completions. Beyond it the worker takes no more orders until it has caught
/// up.
const MAX_LAG: Duration = Duration::from_secs(1);

/// The time with nothing to do after which a worker looks at the database less often.
pub(crate) const IDLE_AFTER: Duration = Duration::from_secs(10);

pub(crate) struct WorkerState {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bus: SharedBus,
    pub(crate) owner: IncarnationId,
    /// Counts and logs the failures of the database.
    pub(crate) outage: StoreOutage,
    pub(crate) counts: WorkCounts,
    /// The range of preparation times.
    delay: RangeInclusive<Duration>,
    preparation: Mutex<Preparation>,
    pub(crate) traced: TracedOrders,
    /// Orders were armed.
    armed: Notify,
    /// There is no room for more orders.
    full: watch::Sender<bool>,
    /// The dispatch queue cannot be read.
    bus_away: watch::Sender<bool>,
    /// This worker may own orders that it does not know.
    doubt: AtomicBool,
    /// The greatest id that this worker has claimed; 0 before the first.
    newest: AtomicI64,
    /// The last time that this worker had an order at hand or could not reach the database.
    used: Mutex<Option<Instant>>,
    /// Held by the task that asks the database while there is nothing to do: one at a time, so that
    /// an idle worker needs few connections.
    turn: tokio::sync::Mutex<()>,
}

impl WorkerState {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        bus: SharedBus,
        owner: IncarnationId,
        delay: RangeInclusive<Duration>,
        outage: StoreOutage,
    ) -> Self {
        Self {
            store,
            bus,
            owner,
            outage,
            counts: WorkCounts::default(),
            delay,
            preparation: Mutex::default(),
            traced: TracedOrders::default(),
            armed: Notify::new(),
            full: watch::Sender::new(false),
            bus_away: watch::Sender::new(false),
            doubt: AtomicBool::new(false),
            newest: AtomicI64::new(0),
            used: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Notes that there is something to do, so that this worker looks at the database often.
    pub(crate) fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Returns true if there has been nothing to do for so long.
    pub(crate) fn is_idle(&self, time: Duration) -> bool {
        let used = *self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.is_none_or(|used| used.elapsed() >= time)
    }

    /// Waits for the turn to ask the database, if there has been nothing to do.
    pub(crate) async fn turn(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        if self.is_idle(IDLE_AFTER) { Some(self.turn.lock().await) } else { None }
    }

    /// Claims orders. A failure of unknown outcome sets the flag `doubt`, because the claim may
    /// have committed.
    pub(crate) async fn claim(&self, from: ClaimFrom<'_>) -> Result<Vec<Claimed>, StoreError> {
        let claimed = self.store.claim(self.owner, Claim { from, delay: self.delay.clone() }).await;
        for Claimed { order, .. } in claimed.iter().flatten() {
            if let Some(started) = order.started_time.or(order.completed_time) {
                metrics::histogram!(galley_telemetry::ORDER_WAIT_SECONDS)
                    .record(started.since(order.order_time));
            }
        }
        let newest = claimed.iter().flatten().map(|claimed| claimed.order.id.get()).max();
        self.newest.fetch_max(newest.unwrap_or(0), Ordering::Relaxed);
        self.counts.claimed.add(claimed.iter().flatten().count());
        match &claimed {
            Ok(claimed) if !claimed.is_empty() => reach(FailPoint::AfterClaimCommit),
            Ok(_) => {}
            Err(error) => self.doubt("claim", error),
        }
        claimed
    }

    pub(crate) fn newest(&self) -> Option<OrderId> {
        OrderId::new(self.newest.load(Ordering::Relaxed)).ok()
    }

    /// Notes a failure; after an unknown outcome this worker may own orders unknown to it.
    pub(crate) fn doubt(&self, question: &'static str, error: &StoreError) {
        self.outage.note(question, error);
        if error.is_uncertain() {
            self.doubt.store(true, Ordering::Relaxed);
        }
    }

    /// Returns and clears the flag that this worker may own orders that it does not know.
    pub(crate) fn take_doubt(&self) -> bool {
        self.doubt.swap(false, Ordering::Relaxed)
    }

    /// Raises the flag again, because the orders of this worker are still unknown.
    pub(crate) fn keep_doubt(&self) {
        self.doubt.store(true, Ordering::Relaxed);
    }

    /// Returns the report of this worker. To be called once a second.
    pub(crate) fn report(&self) -> WorkerReport {
        self.counts.report(self.preparation().len())
    }

    /// Returns the updates of claimed orders: two for an order that the claim cancelled at once.
    pub(crate) fn updates(claimed: &[Claimed]) -> Vec<Update> {
        let mut updates = Vec::with_capacity(claimed.len());
        for Claimed { order, .. } in claimed {
            // The claim cancelled the order at once: `IN_PROGRESS` must be published, too.
            let started = if order.status == Status::Cancelled { order.as_started() } else { None };
            updates.extend(started.iter().map(Update::of));
            updates.push(Update::of(order));
        }
        updates
    }

    /// Arms claimed orders right after their publication has begun. The bus keeps the order of its
    /// requests. An order without delay may be complete before the bus has answered.
    pub(crate) async fn arm_behind<T>(
        &self,
        telling: impl Future<Output = T>,
        claimed: &[Claimed],
    ) -> T {
        // `biased`: `telling` is polled first.
        tokio::join!(biased; telling, async { self.arm(claimed) }).0
    }

    /// Arms the claimed or adopted orders that did not end at once.
    pub(crate) fn arm(&self, claimed: &[Claimed]) {
        let now = Instant::now();
        {
            let mut preparation = self.preparation();
            for Claimed { order, due_in } in
                claimed.iter().filter(|claimed| claimed.order.status == Status::InProgress)
            {
                preparation.arm(DueOrder { at: now + *due_in, id: order.id });
            }
        }
        self.touch();
        for Claimed { order, .. } in claimed {
            if let Some(reason) = order.reason {
                metrics::counter!(galley_telemetry::ORDERS_CANCELLED, "reason" => label(reason))
                    .increment(1);
            }
        }
        self.weigh();
        self.armed.notify_one();
    }

    /// Takes at most a batch of orders that are due.
    pub(crate) fn take_due(&self) -> Vec<DueOrder> {
        let due = self.preparation().take_due(Instant::now(), MAX_BATCH);
        if !due.is_empty() {
            self.touch();
        }
        self.weigh();
        due
    }

    /// Waits until an order is due or further orders were armed, which may be due at once.
    pub(crate) async fn due(&self) {
        let next = self.preparation().next_due();
        let due = async {
            match next {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = self.armed.notified() => {}
        }
    }

    /// Waits until there is room for more orders.
    pub(crate) async fn room(&self) {
        let kept = self.full.subscribe().wait_for(|full| !full).await.map(drop);
        kept.expect("the state keeps the sender");
    }

    pub(crate) fn watch_bus(&self) -> watch::Receiver<bool> {
        self.bus_away.subscribe()
    }

    /// Sets the flag that the dispatch queue cannot be read; `None` clears it.
    pub(crate) fn set_bus_unreachable(&self, error: Option<&BusError>) {
        let changed = self
            .bus_away
            .send_if_modified(|away| std::mem::replace(away, error.is_some()) != error.is_some());
        // The bus logs the outage of Redis.
        if let Some(error @ BusError::Refused(_)) = error
            && changed
        {
            tracing::error!(%error, "cannot read the dispatch queue; orders are claimed from the database");
        }
    }

    /// Publishes updates. After a failure the subscribers receive a gap and read the database.
    pub(crate) async fn publish(&self, updates: &[Update]) {
        for batch in updates.chunks(MAX_BATCH) {
            if let Err(error) = self.bus.publish(batch, &[]).await {
                metrics::counter!(galley_telemetry::PUBLISH_ERRORS).increment(1);
                tracing::debug!(%error, "updates were not published");
                return;
            }
        }
    }

    /// Publishes the current state of orders whose change was not in the answer. The statement was
    /// repeated, and its second answer left out what the first attempt had changed.
    pub(crate) async fn publish_again(
        &self,
        asked: &[OrderId],
        answered: impl Iterator<Item = OrderId>,
    ) {
        let answered: HashSet<OrderId> = answered.collect();
        let mut updates = Vec::new();
        for id in asked.iter().filter(|id| !answered.contains(id)) {
            match self.store.order(*id).await {
                Ok(found) => updates.extend(found.map(|found| Update::of(&found.view.order))),
                Err(error) => self.outage.note("order", &error),
            }
        }
        self.publish(&updates).await;
    }

    /// Sets the flag `full` by the number of orders and the delay of the next one.
    fn weigh(&self) {
        let (held, next) = {
            let preparation = self.preparation();
            (preparation.len(), preparation.next_due())
        };
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        metrics::gauge!(galley_telemetry::ORDERS_IN_PREPARATION).set(held as f64);
        let late = next.is_some_and(|at| at.elapsed() > MAX_LAG);
        let full = held >= MAX_HELD || late;
        self.full.send_if_modified(|was| std::mem::replace(was, full) != full);
    }

    fn preparation(&self) -> MutexGuard<'_, Preparation> {
        self.preparation.lock().expect("nothing panics while it holds this lock")
    }
}

/// Returns the label of a reason in metrics, as on the wire.
fn label(reason: Reason) -> &'static str {
    match reason {
        Reason::HeroRequest => "hero_request",
        Reason::Allergy => "allergy",
        Reason::HeroGone => "hero_gone",
        Reason::MealGone => "meal_gone",
        Reason::Undeliverable => "undeliverable",
    }
}

#[cfg(test)]
mod tests {
    use galley_protocol::{HeroId, MealId, Order, PlaceOrder, Timestamp, Version};

    use super::*;

    #[tokio::test]
    async fn what_was_claimed_is_armed_once_it_is_being_told_and_not_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("galley.db").display());
        let store = galley_store::connect(&url).await.expect("a database");
        let bus = galley_bus::connect(&galley_bus::BusConfig::default())
            .await
            .expect("it is within the process");
        let owner = IncarnationId::new(1).expect("an id");
        let state = WorkerState::new(
            store,
            bus,
            owner,
            Duration::ZERO..=Duration::ZERO,
            StoreOutage::default(),
        );
        let time = Timestamp::from_millis(1).expect("in range");
        let (hero_id, meal_id) = (HeroId::new(1).expect("an id"), MealId::new(1).expect("an id"));
        let placed =
            Order::placed(OrderId::new(7).expect("an id"), hero_id, &PlaceOrder::of(meal_id), time);
        let order = Order {
            status: Status::InProgress,
            version: Version::FIRST.next(),
            started_time: Some(time),
            ..placed
        };
        let claimed = [Claimed { order, due_in: Duration::ZERO }];
        let telling = async {
            assert_eq!(state.take_due(), []);
            state.due().await;
        };
        state.arm_behind(telling, &claimed).await;
        assert_eq!(state.take_due().len(), 1);
    }
}
