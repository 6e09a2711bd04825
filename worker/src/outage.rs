//! Counts what the database did not do, and logs what it refuses. That it is away or in trouble is
//! logged by the store, once for all who use it.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use galley_store::StoreError;

/// How often a refusal is logged, at most.
const REFUSALS: Duration = Duration::from_secs(5);

/// The failures that all parts of a worker have met.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    /// When a refusal was logged last.
    refused: Mutex<Option<Instant>>,
}

impl Outage {
    /// A question to the database failed.
    pub(crate) fn note(&self, question: &'static str, error: &StoreError) {
        metrics::counter!("galley_worker_store_errors_total", "question" => question).increment(1);
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
