//! Publishes committed changes on the bus, in a task of its own: answers do not wait for the bus.
//!
//! Called after each commit, never before. Changes are published in the order in which they were
//! handed in. If the bus refuses a batch, the sockets of this gateway receive its updates
//! nevertheless. The queue is bounded. A full queue drops the announcement and counts it: a
//! worker's sweep finds the orders, and every gateway learns that updates were lost.
//!
//! Each operation is pending on the bus from before its statement until its announcement was
//! published or left a gap that subscribers notice.

use std::sync::Arc;

use galley_bus::{BusError, PendingOperation, SharedBus};
use galley_fail_points::{FailPoint, reach};
use galley_launch::{StopOrder, Supervisor};
use galley_protocol::{OrderId, Update};
use galley_store::{Store, StoreError};
use tokio::sync::{OnceCell, mpsc};

use crate::hub::Hub;
use crate::metrics;

/// Maximum number of queued announcements. Another one is dropped.
const MAX_WAITING: usize = 4_096;
/// Maximum number of announcements in one pipeline.
const MAX_BATCH: usize = 64;

#[derive(Debug)]
struct Publication {
    updates: Vec<Update>,
    orders: Vec<OrderId>,
    /// Held until the announcement was published or left a gap.
    pending: PendingOperation,
}

#[derive(Clone)]
pub struct UpdatePublisher {
    queue: mpsc::Sender<Publication>,
    bus: SharedBus,
    /// Set once a census has shown the other processes that this one lives.
    attended: Arc<OnceCell<()>>,
}

impl UpdatePublisher {
    /// Starts the task. It ends when the last clone is dropped and everything has been published.
    pub fn start(supervisor: &mut Supervisor, bus: SharedBus, hub: Hub) -> Self {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        supervisor.supervise(StopOrder::Last, "publisher of updates", |_| {
            publish_all(waiting, Arc::clone(&bus), hub)
        });
        Self { queue, bus, attended: Arc::default() }
    }

    /// Begins an operation that may commit changes. The first operation of all waits for a census:
    /// the other processes must know that this one lives, or nobody would notice updates that it
    /// fails to publish.
    pub async fn begin(&self, store: &dyn Store) -> Result<PendingOperation, StoreError> {
        let attend =
            async || store.census(self.bus.publisher(), self.bus.is_receiving()).await.map(drop);
        self.attended.get_or_try_init(attend).await?;
        Ok(self.bus.begin())
    }

    /// Announces the changes of an operation, and the orders that wait for a worker.
    pub fn publish(&self, pending: PendingOperation, updates: Vec<Update>, orders: Vec<OrderId>) {
        if updates.is_empty() {
            return;
        }
        if let Err(dropped) = self.queue.try_send(Publication { updates, orders, pending }) {
            ::metrics::counter!(metrics::ANNOUNCEMENTS_DROPPED).increment(1);
            self.bus.lose();
            // The operation ends only after the loss is noted: no cursor may pass it unnoticed.
            drop(dropped);
        }
    }
}

async fn publish_all(mut waiting: mpsc::Receiver<Publication>, bus: SharedBus, hub: Hub) {
    let mut batch = Vec::new();
    let mut refused = false;
    while waiting.recv_many(&mut batch, MAX_BATCH).await > 0 {
        let (mut all_updates, mut all_orders, mut operations) =
            (Vec::new(), Vec::new(), Vec::new());
        for Publication { updates, orders, pending } in batch.drain(..) {
            all_updates.extend(updates);
            all_orders.extend(orders);
            operations.push(pending);
        }
        if !all_orders.is_empty() {
            reach(FailPoint::AfterPlaceCommit);
        }
        let published = bus.publish(&all_updates, &all_orders).await;
        if published.is_ok() && !all_orders.is_empty() {
            reach(FailPoint::AfterDispatch);
        }
        if published.is_err() {
            ::metrics::counter!(metrics::ANNOUNCEMENTS_FAILED).increment(1);
            // The sockets of this gateway need not wait for a repair.
            hub.deliver(&all_updates).await;
        }
        // Not earlier: no cursor may pass changes that were not published yet.
        drop(operations);
        // The bus logs the outage of Redis.
        match &published {
            Err(error @ BusError::Refused(_)) if !refused => {
                tracing::error!(%error, "cannot publish updates; workers find new orders in the database");
            }
            Ok(()) if refused => tracing::info!("updates are published again"),
            _ => {}
        }
        refused = matches!(published, Err(BusError::Refused(_)));
    }
}
