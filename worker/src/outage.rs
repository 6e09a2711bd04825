//! Tells the log once that the database is away, and once that it is back.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use galley_store::StoreError;

/// The database counts as back after so long without a failure.
const QUIET: Duration = Duration::from_secs(2);

/// How often a refusal is told, at most.
const REFUSALS: Duration = Duration::from_secs(5);

/// What all parts of a worker know of the database's health.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    unavailable: Option<Instant>,
    refused: Option<Instant>,
}

impl Outage {
    /// A question to the database failed.
    pub(crate) fn note(&self, question: &'static str, error: &StoreError) {
        metrics::counter!("galley_worker_store_errors_total", "question" => question).increment(1);
        let now = Instant::now();
        let mut state = self.state();
        match error {
            StoreError::Unavailable(_) => {
                if state.unavailable.replace(now).is_none() {
                    tracing::warn!(question, %error, "the database is away; the worker waits for it");
                }
            }
            // It is tried again like everything else that the worker does.
            StoreError::Contended(_) => tracing::debug!(question, %error, "others hold what the worker wants to change"),
            StoreError::Failed(_) => {
                if state.refused.is_none_or(|last| now - last > REFUSALS) {
                    state.refused = Some(now);
                    tracing::error!(question, %error, "the database refused");
                }
            }
        }
    }

    /// The database answered.
    pub(crate) fn is_over(&self) {
        let mut state = self.state();
        if state.unavailable.is_some_and(|last| last.elapsed() > QUIET) {
            state.unavailable = None;
            tracing::info!("the database is back");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }
}
