//! The number of orders in each status, counted at most once a second however many clients watch.

use std::sync::Arc;
use std::time::Duration;

use galley_protocol::frame;
use galley_store::Store;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a count is used, and the least time between two attempts to count.
const FRESH: Duration = Duration::from_secs(1);
/// The age at which a count no longer stands for the present.
const RECENT: Duration = Duration::from_secs(3);

#[derive(Clone, Debug, Default)]
pub struct TotalsCache(Arc<Mutex<Last>>);

#[derive(Debug, Default)]
struct Last {
    count: Option<Count>,
    /// The end of the last attempt.
    tried: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
pub struct Count {
    pub totals: frame::Totals,
    /// The moment before the count began. Every earlier commit is counted.
    pub at: Instant,
}

impl Count {
    /// Returns false for the count of a time before the database became unreachable.
    #[must_use]
    pub fn is_recent(&self) -> bool {
        self.at.elapsed() < RECENT
    }
}

impl TotalsCache {
    /// Returns the count, at most a second old; an older one while the database is unreachable, and
    /// `None` if there never was one.
    pub async fn now(&self, store: &dyn Store) -> Option<Count> {
        let mut last = self.0.lock().await;
        if last.tried.is_none_or(|tried| tried.elapsed() >= FRESH) {
            let at = Instant::now();
            match store.totals().await {
                Ok(totals) => last.count = Some(Count { totals, at }),
                Err(error) => tracing::debug!(%error, "cannot count the orders"),
            }
            // After the attempt, so that a slow database has a pause as well.
            last.tried = Some(Instant::now());
        }
        last.count
    }
}
