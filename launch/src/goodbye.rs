//! Closes what [`BackendArguments::open`](crate::BackendArguments::open) opened: the last steps of an orderly end.
//!
//! The programs call this whatever the reason for their end, once nothing publishes any more: first
//! the goodbye, then the store, which releases the locks that show other processes that this one is
//! alive. Both steps have a time limit, in case a server does not answer.

use std::time::Duration;

use galley_bus::SharedBus;
use galley_store::Store;
use tokio::time::timeout;
use tracing::warn;

/// Time limit of the goodbye. Without a goodbye, other processes learn from the database that this
/// one is gone, and repair what it may have committed.
const GOODBYE: Duration = Duration::from_secs(2);
/// Time limit of closing the store. `SQLite` writes its whole file, at the speed of the disk.
const CLOSE: Duration = Duration::from_secs(5);

/// Sends a goodbye on the bus, so that no other process repairs anything for this one. Only for a
/// process that has published everything; one in which a part has died cannot know that.
pub async fn leave_bus(bus: &SharedBus) {
    if timeout(GOODBYE, bus.leave()).await.is_err() {
        warn!("the goodbye was not published in time");
    }
}

/// Closes the store, which releases the locks of this process.
pub async fn close_store(store: &dyn Store) {
    if timeout(CLOSE, store.close()).await.is_err() {
        warn!("the database was not closed in time");
    }
}
