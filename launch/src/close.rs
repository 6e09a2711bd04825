//! The end of what [`Backends::open`](crate::Backends::open) began: the last steps of a program
//! that leaves in order.
//!
//! Called by the programs, whatever their end, after everything that publishes has ended: first the
//! goodbye, then the store, which releases the locks by which others see that this process lives.
//! Guarantees that neither waits for a server that does not answer.

use std::time::Duration;

use galley_bus::SharedBus;
use galley_store::Store;
use tokio::time::timeout;
use tracing::warn;

/// How long the goodbye may take. Without it others find in the database that this process is gone,
/// and repair what it may have committed.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long the store may take. `SQLite` writes its file whole, which takes as long as the disk
/// does.
const CLOSE: Duration = Duration::from_secs(5);

/// Says goodbye on the bus: nobody need repair anything for a process that has published
/// everything. One of which a part has died does not know that.
pub async fn leave_bus(bus: &SharedBus) {
    if timeout(GOODBYE, bus.leave()).await.is_err() {
        warn!("Redis did not take the goodbye in time");
    }
}

/// Closes the store, which releases the locks of this process.
pub async fn close_store(store: &dyn Store) {
    if timeout(CLOSE, store.close()).await.is_err() {
        warn!("the database was not closed in time");
    }
}
