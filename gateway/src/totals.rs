//! How many orders stand where, counted at most once a second however many watch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use galley_protocol::frame;
use tokio::sync::Mutex;

use crate::desk::Desk;

/// How long a count is good.
const FRESH: Duration = Duration::from_secs(1);

/// The last count.
#[derive(Clone, Debug, Default)]
pub struct Totals(Arc<Mutex<Option<(Instant, frame::Totals)>>>);

impl Totals {
    /// The count, at most a second old; an older one while the database is away.
    pub async fn now(&self, desk: &Desk) -> frame::Totals {
        let mut last = self.0.lock().await;
        if let Some((_, totals)) = last.filter(|(counted, _)| counted.elapsed() < FRESH) {
            return totals;
        }
        let totals = match desk.store().totals().await {
            Ok(totals) => totals,
            Err(error) => {
                tracing::warn!(%error, "cannot count the orders");
                last.map_or_else(frame::Totals::default, |(_, totals)| totals)
            }
        };
        *last = Some((Instant::now(), totals));
        totals
    }
}
