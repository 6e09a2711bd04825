//! Processes orders: claim, prepare, complete, adopt, sweep.
//!
//! A worker is one incarnation, and its parts are tasks around one `WorkerState`:
//!
//! - the `consumer` reads the dispatch queue, claims the orders and settles the entries;
//! - the `sweeper` claims orders from the database: those whose entry was lost, or all while Redis
//!   is unreachable;
//! - the `adopter` takes over the orders of dead workers, and at the start those of an earlier
//!   process;
//! - the `completer` completes the orders that are due;
//! - the `maintenance` keeps the incarnation alive and the store tidy.
//!
//! No transition depends on the memory of a worker. The database guards each by status and owner,
//! so an order that is claimed, armed or completed twice changes once. Any number of workers may
//! run, in one process or in many.

mod adopter;
mod completer;
mod consumer;
mod maintenance;
mod preparation;
mod store_outage;
mod sweeper;
mod tick;
mod traced_orders;
mod work_counts;
mod worker_config;
mod worker_state;

use std::sync::Arc;
use std::time::Duration;

use galley_bus::{Backoff, SharedBus};
use galley_launch::{StopOrder, Supervisor, TaskDied, renew_logins};
use galley_protocol::IncarnationId;
use galley_store::{Store, StoreError};
use thiserror::Error;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use store_outage::StoreOutage;
pub use worker_config::{DelayError, ProcessingDelay, WorkerConfig};
use worker_state::WorkerState;

/// The longest time of each step of the shutdown.
const LEAVE: Duration = Duration::from_secs(2);

/// The reason why a worker ended without being stopped.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// The database refused to register the worker.
    #[error("cannot start the worker: {0}")]
    Enlist(StoreError),
    /// One of its tasks ended. The orders of the worker were handed back.
    #[error(transparent)]
    Died(#[from] TaskDied),
}

/// A worker that was not started yet.
pub struct Worker {
    config: WorkerConfig,
    store: Arc<dyn Store>,
    bus: SharedBus,
}

impl Worker {
    /// Creates a worker on this store and this bus.
    #[must_use]
    pub fn new(config: WorkerConfig, store: Arc<dyn Store>, bus: SharedBus) -> Self {
        Self { config, store, bus }
    }

    /// Runs until `stop` is cancelled. Then the worker takes no more orders, completes those that
    /// are due, hands back the remaining ones and returns within a few seconds. While the database
    /// or Redis is unreachable, it waits without a limit.
    ///
    /// # Errors
    /// [`WorkerError`] if it cannot go on.
    pub async fn run(self, stop: CancellationToken) -> Result<(), WorkerError> {
        let outage = StoreOutage::default();
        let Some(owner) = stop
            .run_until_cancelled(enlist(self.store.as_ref(), &self.bus, &outage))
            .await
            .transpose()?
        else {
            return Ok(());
        };
        tracing::info!(incarnation = owner.get(), delay = %self.config.processing_delay, "the worker begins");
        let state = Arc::new(WorkerState::new(
            self.store,
            self.bus,
            owner,
            self.config.processing_delay.range(),
            outage,
        ));

        let mut supervisor = Supervisor::default();
        let share = || Arc::clone(&state);
        supervisor.supervise(StopOrder::Last, "worker's heartbeat", |stop| {
            maintenance::keep_alive(share(), stop)
        });
        let bus = Arc::clone(&state.bus);
        supervisor.supervise(StopOrder::Last, "bus", async move |stop| {
            _ = stop.run_until_cancelled(bus.broken()).await;
        });
        let (store, bus) = (Arc::clone(&state.store), Arc::clone(&state.bus));
        supervisor.supervise(StopOrder::Last, "reader of logins", async move |stop| {
            _ = stop.run_until_cancelled(renew_logins(store, bus)).await;
        });
        supervisor.supervise(StopOrder::Second, "worker's completer", |stop| {
            completer::run(share(), stop)
        });
        supervisor
            .supervise(StopOrder::First, "worker's adopter", |stop| adopter::run(share(), stop));
        supervisor
            .supervise(StopOrder::First, "worker's consumer", |stop| consumer::run(share(), stop));
        supervisor
            .supervise(StopOrder::First, "worker's sweeper", |stop| sweeper::run(share(), stop));
        supervisor.supervise(StopOrder::First, "worker's maintenance", |stop| {
            maintenance::maintain(share(), stop)
        });

        let dead = tokio::select! {
            () = stop.cancelled() => None,
            died = supervisor.death() => Some(died),
        };
        let taken = supervisor.leave(StopOrder::First, LEAVE).await;
        let finished = supervisor.leave(StopOrder::Second, LEAVE).await;
        if !taken || !finished {
            state.bus.lose(); // unpublished changes: gateways read the database
        }
        hand_back(&state).await;
        supervisor.leave(StopOrder::Last, LEAVE).await;
        tracing::info!(incarnation = owner.get(), "the worker ends");
        dead.map_or(Ok(()), |died| Err(died.into()))
    }
}

/// Registers this worker, so that the others see it. Retries while the database is unreachable.
async fn enlist(
    store: &dyn Store,
    bus: &SharedBus,
    outage: &StoreOutage,
) -> Result<IncarnationId, WorkerError> {
    let mut backoff = Backoff::AWAY;
    loop {
        let enlisted = async {
            maintenance::attend(store, bus).await?;
            store.enlist().await
        };
        match enlisted.await {
            Ok(owner) => return Ok(owner),
            Err(error) if !error.is_passing() => return Err(WorkerError::Enlist(error)),
            Err(error) => outage.note("enlist", &error),
        }
        backoff.wait().await;
    }
}

/// Hands back the orders of this worker, so that others adopt them at once. After a failure others
/// adopt them as soon as they see this incarnation dead.
async fn hand_back(state: &WorkerState) {
    match timeout(LEAVE, state.store.hand_back(state.owner)).await {
        Ok(Ok(orders)) => tracing::info!(orders, "orders in preparation were handed back"),
        Ok(Err(error)) => tracing::warn!(%error, "orders in preparation were not handed back"),
        Err(_) => tracing::warn!("orders in preparation were not handed back in time"),
    }
}
