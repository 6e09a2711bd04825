//! The end of what [`Backends::open`](crate::Backends::open) began.

use std::time::Duration;

use galley_store::Store;
use tokio::time::timeout;
use tracing::warn;

/// How long the store may take. `SQLite` writes its file whole, which takes as long as the disk does; a `PostgreSQL` that does not answer
/// is not waited for, and frees the locks when it finds the connections gone.
const CLOSE: Duration = Duration::from_secs(5);

/// Closes the store, which releases the locks of this process. To be called last, whatever the end.
pub async fn close(store: &dyn Store) {
    if timeout(CLOSE, store.close()).await.is_err() {
        warn!("the database was not closed in time");
    }
}
