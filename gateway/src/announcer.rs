//! Tells the bus what was committed, off the way of the answers.
//!
//! Called by the desk after each commit, never before. Keeps the order of the commits it is told of. When the bus is away
//! the sockets of this gateway get their updates all the same. The queue is bounded: at the bound an announcement is
//! dropped and counted; the orders are found by a worker's sweep, and every gateway hears that updates were lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use galley_bus::{BusError, SharedBus};
use galley_fail_points::{FailPoint, reach};
use galley_launch::Crew;
use galley_protocol::{OrderId, Update};
use tokio::sync::mpsc;

use crate::hub::Hub;
use crate::metrics;

/// The most announcements that wait.
const MAX_WAITING: usize = 4_096;
/// The most announcements that go in one pipeline.
const MAX_BATCH: usize = 64;

/// What one commit changed.
#[derive(Debug, Default)]
struct Announcement {
    updates: Vec<Update>,
    orders: Vec<OrderId>,
}

/// Tells the bus what was committed.
#[derive(Clone, Debug)]
pub struct Announcer {
    queue: mpsc::Sender<Announcement>,
    /// Something was dropped since the bus was told so last.
    dropped: Arc<AtomicBool>,
}

impl Announcer {
    /// Starts the task, which ends when the last clone is gone and everything has been told.
    pub fn start(crew: &mut Crew, bus: SharedBus, hub: Hub) -> Self {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        let dropped = Arc::<AtomicBool>::default();
        crew.hire("publisher of updates", |_| tell(waiting, Arc::clone(&dropped), bus, hub));
        Self { queue, dropped }
    }

    /// Tells that these changes happened, and that these orders wait for a worker.
    pub fn announce(&self, updates: Vec<Update>, orders: Vec<OrderId>) {
        if updates.is_empty() {
            return;
        }
        if self.queue.try_send(Announcement { updates, orders }).is_err() {
            self.dropped.store(true, Ordering::Relaxed);
            ::metrics::counter!(metrics::ANNOUNCEMENTS_DROPPED).increment(1);
        }
    }
}

async fn tell(mut waiting: mpsc::Receiver<Announcement>, dropped: Arc<AtomicBool>, bus: SharedBus, hub: Hub) {
    let mut batch = Vec::new();
    let mut refused = false;
    while waiting.recv_many(&mut batch, MAX_BATCH).await > 0 {
        let mut whole = Announcement::default();
        for Announcement { updates, orders } in batch.drain(..) {
            whole.updates.extend(updates);
            whole.orders.extend(orders);
        }
        if !whole.orders.is_empty() {
            reach(FailPoint::AfterPlaceCommit);
        }
        let told = bus.announce(&whole.updates, &whole.orders).await;
        if told.is_ok() && !whole.orders.is_empty() {
            reach(FailPoint::AfterDispatch);
        }
        if told.is_err() {
            ::metrics::counter!(metrics::ANNOUNCEMENTS_FAILED).increment(1);
            hub.deliver(&whole.updates).await;
        }
        // The bus logs the outage of Redis.
        match &told {
            Err(error @ BusError::Refused(_)) if !refused => {
                tracing::error!(%error, "announcements fail; workers find new orders in the database");
            }
            Ok(()) if refused => tracing::info!("announcements go out again"),
            _ => {}
        }
        refused = matches!(told, Err(BusError::Refused(_)));
        if dropped.swap(false, Ordering::Relaxed) {
            bus.lose();
        }
    }
}
