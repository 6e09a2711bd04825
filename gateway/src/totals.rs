//! How many orders stand where, counted at most once a second however many watch.

use std::sync::Arc;
use std::time::Duration;

use galley_protocol::frame;
use galley_store::Store;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a count is good, and the least time between two attempts to count.
const FRESH: Duration = Duration::from_secs(1);

/// The last count.
#[derive(Clone, Debug, Default)]
pub struct Totals(Arc<Mutex<Last>>);

#[derive(Debug, Default)]
struct Last {
    count: Option<Count>,
    /// The end of the last attempt.
    tried: Option<Instant>,
}

/// A count.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    /// How many orders stood where.
    pub totals: frame::Totals,
    /// Everything that was committed before this is counted.
    pub at: Instant,
}

impl Totals {
    /// The count, at most a second old; an older one while the database is away, and nothing when
    /// there never was one.
    pub async fn now(&self, store: &dyn Store) -> Option<Count> {
        let mut last = self.0.lock().await;
        if last.tried.is_none_or(|tried| tried.elapsed() >= FRESH) {
            let at = Instant::now();
            match store.totals().await {
                Ok(totals) => last.count = Some(Count { totals, at }),
                Err(error) => tracing::debug!(%error, "cannot count the orders"),
            }
            last.tried = Some(Instant::now());
        }
        last.count
    }
}
