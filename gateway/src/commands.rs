//! The operations behind REST and sockets. Writes and the frequent reads go through batchers, other
//! reads go to the store. Results and problems are ready to send.

use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use galley_bus::{PendingOperation, SharedBus};
use galley_fail_points::{FailPoint, hold, reach};
use galley_launch::Supervisor;
use galley_protocol::frame::Page;
use galley_protocol::{
    CancelOrder, DeleteOrder, Deleted, GetOrder, HeroId, ListOrders, OfHero, Order, OrderId,
    OrderView, PlaceOrder, Problem, ProblemType, ResumeCursor, Sentence, TraceContext, Update,
};
use galley_store::{
    CancelVerdict, Changes, ChangesRequest, DeleteVerdict, MAX_BATCH, PlaceVerdict, Snapshot,
    SnapshotRequest, States, Store, StoreError, ViewedOrder,
};

use crate::batcher::{BatchTraces, Batcher, PendingVerdict, QueueFull, Writers};
use crate::hub::Hub;
use crate::limits::ReadTurn;
use crate::open_orders::OpenOrders;
use crate::page_size::bounded;
use crate::store_problems::{RETRY_AFTER_MS, no_hero, no_order, problem};
use crate::update_publisher::UpdatePublisher;

/// The writers of each kind. Each of them writes one batch at a time.
const PLACEMENTS: Writers = writers(2, "writer of placements", "batch of placements");
const CANCELLATIONS: Writers = writers(2, "writer of cancellations", "batch of cancellations");
const DELETIONS: Writers = writers(1, "writer of deletions", "batch of deletions");
/// The readers of each kind. A batch of them holds all its answers in memory, and ends with its
/// slowest one.
const SNAPSHOTS: Writers = readers("reader of snapshots", "batch of snapshots");
const CHANGES: Writers = readers("reader of changes", "batch of changes");
const STATES: Writers = readers("reader of states", "batch of states");
const READ_AT_ONCE: usize = 32;

const fn writers(count: usize, part: &'static str, batch: &'static str) -> Writers {
    Writers { count, part, batch, at_most: MAX_BATCH, is_for_callers: false }
}

const fn readers(part: &'static str, batch: &'static str) -> Writers {
    Writers { count: 2, part, batch, at_most: READ_AT_ONCE, is_for_callers: true }
}

/// A statement for a batch, with one answer for each request.
type BatchRead<'a, A> = BoxFuture<'a, Result<Vec<A>, StoreError>>;

/// The update of a verdict, and the point between its commit and its publication.
type Publishing<A> = (fn(&A) -> Option<Update>, FailPoint);
const CANCELLED: Publishing<CancelVerdict> = (cancellation, FailPoint::AfterCancelCommit);
const DELETED: Publishing<DeleteVerdict> = (deletion, FailPoint::AfterDeleteCommit);

#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    pub order: Order,
    /// True if it was placed earlier.
    pub replayed: bool,
}

/// Carries out requests, most of them in batches.
#[derive(Clone)]
pub struct Commands {
    store: Arc<dyn Store>,
    placements: Batcher<OfHero<PlaceOrder, HeroId>, PlaceVerdict>,
    cancellations: Batcher<OfHero<CancelOrder>, CancelVerdict>,
    deletions: Batcher<OfHero<DeleteOrder>, DeleteVerdict>,
    snapshots: Batcher<SnapshotRequest, Option<Snapshot>>,
    changes: Batcher<ChangesRequest, Changes>,
    states: Batcher<Vec<OrderId>, States>,
    open_orders: Arc<OpenOrders>,
}

impl Commands {
    /// Starts the batchers. At a stop their tasks end first, and then the publisher's, once it has
    /// published everything.
    pub fn start(
        supervisor: &mut Supervisor,
        store: Arc<dyn Store>,
        bus: SharedBus,
        hub: Hub,
        open_orders: Arc<OpenOrders>,
    ) -> Self {
        let publisher = UpdatePublisher::start(supervisor, bus, hub);
        let both = (&store, &publisher);
        Self {
            placements: Batcher::start(supervisor, PLACEMENTS, {
                let (store, publisher) = (Arc::clone(&store), publisher.clone());
                move |requests, traces| {
                    place_batch(Arc::clone(&store), publisher.clone(), requests, traces)
                }
            }),
            cancellations: writer(supervisor, CANCELLATIONS, both, CANCELLED, |store, requests| {
                store.cancel(requests)
            }),
            deletions: writer(supervisor, DELETIONS, both, DELETED, |store, requests| {
                store.delete(requests)
            }),
            snapshots: reader(supervisor, SNAPSHOTS, &store, |store, requests| {
                store.snapshots(requests)
            }),
            changes: reader(supervisor, CHANGES, &store, |store, requests| store.changes(requests)),
            states: reader(supervisor, STATES, &store, |store, lists| store.states(lists)),
            store,
            open_orders,
        }
    }

    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// An unreadable cursor starts over.
    pub async fn read_cursor(&self, text: Option<String>) -> Option<ResumeCursor> {
        match text {
            Some(text) => Some(self.store.read_cursor(&text).await),
            None => None,
        }
    }

    /// Places an order. The request is queued before this returns: the future only waits for the
    /// answer. Only if the open orders of the hero must be counted first, it is queued afterwards.
    pub fn place(
        &self,
        request: OfHero<PlaceOrder, HeroId>,
        trace: Option<TraceContext>,
    ) -> impl Future<Output = Result<Placed, Problem>> + Send + use<> {
        let hero_id = request.hero_id;
        let meal_id = request.command.meal_id;
        let queued = match self.open_orders.take(hero_id) {
            Some(order) => Ok((order, self.placements.submit_traced(request, trace))),
            None => Err(Box::new((self.clone(), request))),
        };
        async move {
            let (_order, answer) = match queued {
                Ok(queued) => queued,
                Err(waiting) => {
                    let (commands, request) = *waiting;
                    let order = commands.open_orders.count(hero_id).await?;
                    (order, commands.placements.submit_traced(request, trace))
                }
            };
            match verdict(answer).await? {
                PlaceVerdict::Placed(order) => Ok(Placed { order, replayed: false }),
                PlaceVerdict::Replayed(order) => Ok(Placed { order, replayed: true }),
                PlaceVerdict::KeyReused => Err(Problem::new(ProblemType::IdempotencyKeyReused)
                    .with_detail(Sentence::KeyOfOtherOrder)),
                PlaceVerdict::HeroNotFound => Err(no_hero(hero_id)),
                PlaceVerdict::MealNotFound => {
                    Err(Problem::new(ProblemType::MealNotFound)
                        .with_detail(Sentence::NoMeal(meal_id)))
                }
            }
        }
    }

    /// # Errors
    /// `already-finished` with the order if it has ended, `version-mismatch`, `order-not-found`.
    pub async fn cancel(
        &self,
        request: OfHero<CancelOrder>,
        trace: Option<TraceContext>,
    ) -> Result<Order, Problem> {
        let order_id = request.command.order_id;
        match verdict(self.cancellations.submit_traced(request, trace)).await? {
            CancelVerdict::Cancelled(order) => Ok(order),
            CancelVerdict::AlreadyFinished(order) => {
                let detail = Sentence::OrderEnded(order_id, order.status);
                Err(Problem::new(ProblemType::AlreadyFinished)
                    .with_detail(detail)
                    .with_order(order))
            }
            CancelVerdict::Stale(order) => Err(stale(order)),
            CancelVerdict::NotFound => Err(no_order(order_id)),
        }
    }

    /// # Errors
    /// `not-finished` with the order if it is active, `version-mismatch`, `order-not-found`.
    pub async fn delete(
        &self,
        request: OfHero<DeleteOrder>,
        trace: Option<TraceContext>,
    ) -> Result<Deleted, Problem> {
        let order_id = request.command.order_id;
        match verdict(self.deletions.submit_traced(request, trace)).await? {
            DeleteVerdict::Deleted { deleted, .. } => Ok(deleted),
            DeleteVerdict::NotFinished(order) => {
                let detail = Sentence::OrderActive(order_id, order.status);
                Err(Problem::new(ProblemType::NotFinished).with_detail(detail).with_order(order))
            }
            DeleteVerdict::Stale(order) => Err(stale(order)),
            DeleteVerdict::NotFound => Err(no_order(order_id)),
        }
    }

    /// Runs a read of the store. It keeps its turn until it ends, even if nobody waits for it.
    ///
    /// # Errors
    /// A problem of the store.
    pub async fn read<A, F>(
        &self,
        turn: ReadTurn,
        read: impl FnOnce(Arc<dyn Store>) -> F,
    ) -> Result<A, Problem>
    where
        A: Send + 'static,
        F: Future<Output = Result<A, StoreError>> + Send + 'static,
    {
        let reading = read(Arc::clone(&self.store));
        let answer = tokio::spawn(async move {
            let answer = reading.await;
            drop(turn);
            answer
        });
        answer
            .await
            .map_err(|_| Problem::new(ProblemType::Internal))?
            .map_err(|error| problem(&error))
    }

    pub async fn get(
        &self,
        turn: ReadTurn,
        request: OfHero<GetOrder>,
    ) -> Result<ViewedOrder, Problem> {
        let OfHero { hero_id, command: GetOrder { order_id } } = request;
        let found = self.read(turn, async move |store| store.order(order_id).await).await?;
        found
            .filter(|found| hero_id.is_none_or(|hero_id| hero_id == found.view.order.hero_id))
            .ok_or_else(|| no_order(order_id))
    }

    /// Newest first.
    pub async fn list(
        &self,
        turn: ReadTurn,
        request: OfHero<ListOrders>,
    ) -> Result<Page<OrderView>, Problem> {
        let page = self.read(turn, async move |store| store.orders(&request).await).await?;
        Ok(bounded(page, |view| view.order.id.get()))
    }

    /// Reads a page of the changes that a socket has missed.
    pub async fn changes(&self, request: ChangesRequest) -> Result<Changes, Problem> {
        verdict(self.changes.submit(request)).await
    }

    /// Reads the current states of at most [`CHANGES_PAGE`](galley_store::CHANGES_PAGE) orders.
    pub async fn states(&self, orders: Vec<OrderId>) -> Result<States, Problem> {
        verdict(self.states.submit(orders)).await
    }

    /// Reads the first state of a socket: the orders to show, and the cursor to continue from.
    pub async fn snapshot(
        &self,
        turn: ReadTurn,
        request: SnapshotRequest,
    ) -> Result<Snapshot, Problem> {
        let hero_id = request.hero_id;
        let answer = verdict(self.snapshots.submit(request)).await;
        drop(turn);
        answer?.ok_or_else(|| no_hero(hero_id))
    }
}

/// Starts a batcher that cancels or deletes orders, and publishes what changed.
fn writer<Q: Send + Sync + 'static, A: Send + Sync + 'static>(
    supervisor: &mut Supervisor,
    writers: Writers,
    (store, publisher): (&Arc<dyn Store>, &UpdatePublisher),
    (update, committed): Publishing<A>,
    end: for<'a> fn(&'a dyn Store, &'a [Q]) -> BatchRead<'a, A>,
) -> Batcher<Q, A> {
    let (store, publisher) = (Arc::clone(store), publisher.clone());
    Batcher::start(supervisor, writers, move |requests: Vec<Q>, traces| {
        let (store, publisher) = (Arc::clone(&store), publisher.clone());
        async move {
            let pending = publisher.begin(&*store).await?;
            let (pending, verdicts) = outcome(pending, end(&*store, &requests).await)?;
            let changed = verdicts.iter().enumerate().filter_map(|(at, verdict)| {
                update(verdict).map(|update| update.traced(traces.get(&at).copied()))
            });
            let updates: Vec<Update> = changed.collect();
            if !updates.is_empty() {
                reach(committed);
            }
            publisher.publish(pending, updates, Vec::new());
            Ok(verdicts)
        }
    })
}

fn reader<Q: Send + Sync + 'static, A: Send + 'static>(
    supervisor: &mut Supervisor,
    readers: Writers,
    store: &Arc<dyn Store>,
    read: for<'a> fn(&'a dyn Store, &'a [Q]) -> BatchRead<'a, A>,
) -> Batcher<Q, A> {
    let store = Arc::clone(store);
    Batcher::start(supervisor, readers, move |requests, _| {
        let store = Arc::clone(&store);
        async move { read(&*store, &requests).await }
    })
}

fn stale(order: Order) -> Problem {
    let detail = Sentence::OrderChanged(order.id, order.version);
    Problem::new(ProblemType::VersionMismatch).with_detail(detail).with_order(order)
}

async fn verdict<A>(answer: Result<PendingVerdict<A>, QueueFull>) -> Result<A, Problem> {
    let Ok(answer) = answer else {
        return Err(Problem::new(ProblemType::Overloaded).with_retry_after(RETRY_AFTER_MS));
    };
    match answer.await {
        Ok(answer) => answer.map_err(|error| problem(&error)),
        // The writer ended before it answered: it panicked, or the runtime stops.
        Err(_) => Err(Problem::new(ProblemType::Internal)),
    }
}

async fn place_batch(
    store: Arc<dyn Store>,
    publisher: UpdatePublisher,
    requests: Vec<OfHero<PlaceOrder, HeroId>>,
    traces: BatchTraces,
) -> Result<Vec<PlaceVerdict>, StoreError> {
    let pending = publisher.begin(&*store).await?;
    let (pending, verdicts) = outcome(pending, store.place(&requests).await)?;
    let (mut orders, mut updates) = (Vec::new(), Vec::new());
    for (at, verdict) in verdicts.iter().enumerate() {
        if let PlaceVerdict::Placed(order) = verdict {
            orders.push(order.id);
            updates.push(Update::of(order).traced(traces.get(&at).copied()));
        }
    }
    if orders.is_empty() {
        return Ok(verdicts);
    }
    // No answer may leave a process that ends after the dispatch.
    let answer = hold(FailPoint::AfterDispatch);
    publisher.publish(pending, updates, orders);
    answer.await;
    Ok(verdicts)
}

fn cancellation(verdict: &CancelVerdict) -> Option<Update> {
    match verdict {
        CancelVerdict::Cancelled(order) => Some(Update::of(order)),
        CancelVerdict::AlreadyFinished(_) | CancelVerdict::Stale(_) | CancelVerdict::NotFound => {
            None
        }
    }
}

fn deletion(verdict: &DeleteVerdict) -> Option<Update> {
    match *verdict {
        DeleteVerdict::Deleted { deleted, hero_id, time } => {
            Some(Update::of_deleted(deleted, hero_id, time))
        }
        DeleteVerdict::NotFinished(_) | DeleteVerdict::Stale(_) | DeleteVerdict::NotFound => None,
    }
}

/// Marks the operation as doubtful if the statement may have committed, or may still commit.
fn outcome<A>(
    pending: PendingOperation,
    verdicts: Result<A, StoreError>,
) -> Result<(PendingOperation, A), StoreError> {
    match verdicts {
        Ok(verdicts) => Ok((pending, verdicts)),
        Err(error) => {
            if error.is_uncertain() {
                pending.doubt();
            }
            Err(error)
        }
    }
}
