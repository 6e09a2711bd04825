//! Logs the refusals of the database. The store counts all failures, and logs an outage, once for
//! all callers.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use galley_store::StoreError;

/// The least time between two logged refusals.
const REFUSALS: Duration = Duration::from_secs(5);

/// The refusals that all parts of a worker met.
#[derive(Debug, Default)]
pub(crate) struct StoreOutage {
    /// The moment of the last logged refusal.
    refused: Mutex<Option<Instant>>,
}

impl StoreOutage {
    /// Notes a failed request to the database.
    pub(crate) fn note(&self, question: &'static str, error: &StoreError) {
        if error.is_passing() {
            return;
        }
        let now = Instant::now();
        let mut refused = self.refused.lock().expect("nothing panics while it holds this lock");
        if refused.is_none_or(|last| now - last > REFUSALS) {
            *refused = Some(now);
            tracing::error!(question, %error, "the database refused");
        }
    }
}
