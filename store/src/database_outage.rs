//! Logs the begin and the end of each outage of the database once. Both stores report every
//! statement here, and nothing else logs outages: thousands of requests may fail for one reason.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::{StoreError, Trouble};

/// The time without a failure after which a success ends an outage.
const QUIET: Duration = Duration::from_secs(2);
/// The least time between two log entries about different causes of one outage.
const EVERY: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct DatabaseOutage {
    database: String,
    /// True during an outage; spares successful statements the lock.
    lasts: AtomicBool,
    current: Mutex<Option<Current>>,
    stalled: watch::Sender<bool>,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    /// The named trouble; `None` when the database does not answer.
    trouble: Option<Trouble>,
    failed: Instant,
    logged: Instant,
}

impl Current {
    fn stops_changes(self) -> Option<Trouble> {
        self.trouble.filter(|trouble| trouble.stops_changes())
    }
}

impl DatabaseOutage {
    pub(crate) fn new(database: String) -> Self {
        Self {
            database,
            lasts: AtomicBool::new(false),
            current: Mutex::default(),
            stalled: watch::Sender::new(false),
        }
    }

    pub(crate) fn note(&self, error: &StoreError) {
        let trouble = match error {
            StoreError::Unavailable(_) => None,
            StoreError::Trouble(trouble, _) => Some(*trouble),
            StoreError::Contended(_) | StoreError::Failed(_) => return,
        };
        let now = Instant::now();
        let mut current = self.current();
        let known = *current;
        let is_known =
            known.is_some_and(|known| known.trouble == trouble || now - known.logged < EVERY);
        *current = Some(Current {
            // A trouble that stops changes stays until a change succeeds.
            trouble: known.and_then(Current::stops_changes).or(trouble),
            failed: now,
            logged: known.filter(|_| is_known).map_or(now, |known| known.logged),
        });
        drop(current);
        self.lasts.store(true, Ordering::Release);
        if trouble == Some(Trouble::Stalled) {
            self.stalled.send_replace(true);
        }
        if !is_known {
            self.log(trouble, error);
        }
    }

    fn log(&self, trouble: Option<Trouble>, cause: &StoreError) {
        let database = &self.database;
        match trouble {
            None => {
                warn!(%cause, "cannot reach {database}; requests are answered with 503, and workers wait");
            }
            // `error` if someone must act, `warn` if waiting is enough.
            Some(trouble) if trouble.stops_changes() || !trouble.may_pass() => {
                error!(database, %cause, "{}: {}", trouble.sentence(), trouble.remedy());
            }
            Some(trouble) => {
                warn!(database, %cause, "{}: {}", trouble.sentence(), trouble.remedy());
            }
        }
    }

    /// Notes a successful statement; a read does not end a trouble that stops only changes.
    pub(crate) fn note_success(&self) {
        if self.lasts.load(Ordering::Acquire) && self.stops_changes().is_none() {
            self.end();
        }
    }

    pub(crate) fn note_change(&self) {
        if self.lasts.load(Ordering::Acquire) {
            self.end();
        }
    }

    fn end(&self) {
        let mut current = self.current();
        if current.is_some_and(|current| current.failed.elapsed() >= QUIET) {
            *current = None;
            self.lasts.store(false, Ordering::Release);
            self.stalled.send_replace(false);
            info!("connected to {} again", self.database);
        }
    }

    /// The trouble that stops changes, if any is known, and whether it was seen within [`QUIET`].
    pub(crate) fn stops_changes(&self) -> Option<(Trouble, bool)> {
        let current = (*self.current())?;
        Some((current.stops_changes()?, current.failed.elapsed() < QUIET))
    }

    pub(crate) fn is_stalled(&self) -> bool {
        self.lasts.load(Ordering::Acquire) && *self.stalled.borrow()
    }

    pub(crate) async fn stall(&self) {
        drop(self.stalled.subscribe().wait_for(|stalled| *stalled).await);
    }

    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::{DatabaseOutage, QUIET};
    use crate::{StoreError, Trouble};

    #[tokio::test(start_paused = true)]
    async fn only_a_change_shows_that_a_full_disk_has_room_again() {
        let outage = DatabaseOutage::new("galley.db".to_owned());
        outage.note(&StoreError::Trouble(Trouble::Full, "13".to_owned()));
        assert_eq!(outage.stops_changes(), Some((Trouble::Full, true)));
        outage.note_change();
        assert!(outage.stops_changes().is_some(), "one success among failures is not the end");
        advance(QUIET).await;
        outage.note_success();
        assert_eq!(
            outage.stops_changes(),
            Some((Trouble::Full, false)),
            "a read does not show that changes work"
        );
        outage.note_change();
        assert_eq!(outage.stops_changes(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_stops_everything_and_ends_with_any_answer() {
        let outage = DatabaseOutage::new("galley.db".to_owned());
        outage.note(&StoreError::Unavailable("no answer".to_owned()));
        assert_eq!(outage.stops_changes(), None);
        advance(QUIET).await;
        outage.note_success();
        assert!(outage.current().is_none());
    }
}
