//! Tells the bus what was committed, off the way of the answers.
//!
//! Called by the desk after each commit, never before. Keeps the order of the commits it is told
//! of. When the bus is away the sockets of this gateway get their updates all the same. The queue
//! is bounded: at the bound an announcement is dropped and counted; the orders are found by a
//! worker's sweep, and every gateway hears that updates were lost.
//!
//! Each operation is pending on the bus from before its statement until its announcement was
//! published or left a hole.

use std::sync::Arc;

use galley_bus::{BusError, Pending, SharedBus};
use galley_fail_points::{FailPoint, reach};
use galley_launch::{Crew, StopOrder};
use galley_protocol::{OrderId, Update};
use galley_store::{Store, StoreError};
use tokio::sync::{OnceCell, mpsc};

use crate::hub::Hub;
use crate::metrics;

/// The most announcements that wait.
const MAX_WAITING: usize = 4_096;
/// The most announcements that go in one pipeline.
const MAX_BATCH: usize = 64;

/// The changes of one commit.
#[derive(Debug)]
struct Announcement {
    updates: Vec<Update>,
    orders: Vec<OrderId>,
    /// Ends once this was published, or has left a hole.
    pending: Pending,
}

/// Tells the bus what was committed.
#[derive(Clone)]
pub struct Announcer {
    queue: mpsc::Sender<Announcement>,
    bus: SharedBus,
    attended: Arc<OnceCell<()>>,
}

impl Announcer {
    /// Starts the task, which ends when the last clone is gone and everything has been told.
    pub fn start(crew: &mut Crew, bus: SharedBus, hub: Hub) -> Self {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        crew.hire(StopOrder::Last, "publisher of updates", |_| {
            tell(waiting, Arc::clone(&bus), hub)
        });
        Self { queue, bus, attended: Arc::default() }
    }

    /// Begins an operation that may commit something. The first one of all waits for a census: the
    /// others must know that this process lives, or nobody would miss what it does not publish.
    pub async fn begin(&self, store: &dyn Store) -> Result<Pending, StoreError> {
        let attend = async || store.census(self.bus.publisher(), self.bus.hears()).await.map(drop);
        self.attended.get_or_try_init(attend).await?;
        Ok(self.bus.begin())
    }

    /// Tells that an operation made these changes, and that these orders wait for a worker.
    pub fn announce(&self, pending: Pending, updates: Vec<Update>, orders: Vec<OrderId>) {
        if updates.is_empty() {
            return;
        }
        if let Err(dropped) = self.queue.try_send(Announcement { updates, orders, pending }) {
            ::metrics::counter!(metrics::ANNOUNCEMENTS_DROPPED).increment(1);
            self.bus.lose();
            drop(dropped);
        }
    }
}

async fn tell(mut waiting: mpsc::Receiver<Announcement>, bus: SharedBus, hub: Hub) {
    let mut batch = Vec::new();
    let mut refused = false;
    while waiting.recv_many(&mut batch, MAX_BATCH).await > 0 {
        let (mut all_updates, mut all_orders, mut operations) =
            (Vec::new(), Vec::new(), Vec::new());
        for Announcement { updates, orders, pending } in batch.drain(..) {
            all_updates.extend(updates);
            all_orders.extend(orders);
            operations.push(pending);
        }
        if !all_orders.is_empty() {
            reach(FailPoint::AfterPlaceCommit);
        }
        let told = bus.announce(&all_updates, &all_orders).await;
        if told.is_ok() && !all_orders.is_empty() {
            reach(FailPoint::AfterDispatch);
        }
        if told.is_err() {
            ::metrics::counter!(metrics::ANNOUNCEMENTS_FAILED).increment(1);
            hub.deliver(&all_updates).await;
        }
        drop(operations);
        // The bus logs the outage of Redis.
        match &told {
            Err(error @ BusError::Refused(_)) if !refused => {
                tracing::error!(%error, "announcements fail; workers find new orders in the database");
            }
            Ok(()) if refused => tracing::info!("announcements go out again"),
            _ => {}
        }
        refused = matches!(told, Err(BusError::Refused(_)));
    }
}
