//! How many orders stand where, counted at most once a second however many watch.

use std::sync::Arc;
use std::time::Duration;

use galley_protocol::frame;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::desk::Desk;

/// How long a count is good, and the least time between two attempts to count.
const FRESH: Duration = Duration::from_secs(1);

/// The last count.
#[derive(Clone, Debug, Default)]
pub struct Totals(Arc<Mutex<Option<Last>>>);

#[derive(Clone, Copy, Debug)]
struct Last {
    count: Count,
    tried: Instant,
}

/// A count.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// How many orders stood where.
    pub totals: frame::Totals,
    /// What had committed before this is in it; nothing while there never was a count.
    pub at: Option<Instant>,
}

impl Totals {
    /// The count, at most a second old; an older one while the database is away.
    pub async fn now(&self, desk: &Desk) -> Count {
        let mut last = self.0.lock().await;
        if let Some(last) = last.filter(|last| last.tried.elapsed() < FRESH) {
            return last.count;
        }
        let tried = Instant::now();
        let count = match desk.store().totals().await {
            Ok(totals) => Count { totals, at: Some(tried) },
            Err(error) => {
                tracing::debug!(%error, "cannot count the orders");
                last.map_or_else(Count::default, |last| last.count)
            }
        };
        *last = Some(Last { count, tried });
        count
    }
}
