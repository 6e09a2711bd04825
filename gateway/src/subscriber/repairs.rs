//! The repairs of the subscriber, one at a time.
//!
//! A repair starts a second or more after the end of the last one, so that a bus that fails again
//! and again costs the database a bounded number of reads. A failed repair is repeated with
//! back-off. A repair that becomes necessary during another one follows it.

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};
use galley_bus::Backoff;
use galley_protocol::ResumeCursor;
use galley_store::{Store, StoreError};
use tokio::time::{Instant, sleep_until};

use crate::hub::{Hub, Repair};

/// Minimum time between two repairs, and the longest wait of the first one for a census.
const REPAIR_EVERY: Duration = Duration::from_secs(1);

/// Pauses after failed repairs.
const AFTER_FAILURE: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(2));

pub struct Repairs<'a> {
    hub: &'a Hub,
    store: &'a dyn Store,
    /// The cursor of the last census.
    safe: Option<ResumeCursor>,
    owed: Option<Owed>,
    running: Option<RunningRepair<'a>>,
    backoff: Backoff,
    /// End of the last repair.
    ended: Option<Instant>,
}

/// A repair that has not begun.
#[derive(Clone, Copy, Debug)]
struct Owed {
    /// The cursor after which updates may be missing; `None` for everything since the welcome of
    /// each socket.
    since: Option<ResumeCursor>,
    /// Earliest start.
    at: Instant,
}

struct RunningRepair<'a> {
    since: Option<ResumeCursor>,
    /// The cursor of the last census before the repair began.
    safe: Option<ResumeCursor>,
    reading: BoxFuture<'a, Result<Repair, StoreError>>,
}

pub enum RepairStep {
    /// The owed repair is to begin.
    Due,
    /// The running repair has read its updates, or has failed.
    Read(Result<Repair, StoreError>),
}

impl<'a> Repairs<'a> {
    /// Returns the repairs of a gateway. The first one is owed from the start, because sockets that
    /// joined before the subscription have received nothing yet.
    pub fn new(hub: &'a Hub, store: &'a dyn Store) -> Self {
        let owed = Some(Owed { since: None, at: Instant::now() + REPAIR_EVERY });
        Self { hub, store, safe: None, owed, running: None, backoff: AFTER_FAILURE, ended: None }
    }

    /// Takes the cursor of a census. The first repair waits for one.
    pub fn count(&mut self, safe: ResumeCursor) {
        if self.safe.replace(safe).is_none()
            && let Some(owed) = &mut self.owed
        {
            owed.at = Instant::now();
        }
    }

    /// Notes that updates may have been lost since a cursor.
    pub fn owe(&mut self, since: Option<ResumeCursor>) {
        let now = Instant::now();
        let at = self.ended.map_or(now, |ended| now.max(ended + REPAIR_EVERY));
        if let Some(owed) = &mut self.owed {
            // `None` is the least: an unknown start counts as the earliest.
            owed.since = owed.since.min(since);
        } else {
            tracing::warn!("updates may have been lost; reading them from the database");
            self.owed = Some(Owed { since, at });
        }
    }

    /// Waits for the next step. Safe to drop while it waits.
    pub async fn next(&mut self) -> RepairStep {
        match (&mut self.running, self.owed) {
            (Some(running), _) => RepairStep::Read((&mut running.reading).await),
            (None, Some(owed)) => {
                sleep_until(owed.at).await;
                RepairStep::Due
            }
            (None, None) => std::future::pending().await,
        }
    }

    pub fn begin(&mut self) {
        let Some(Owed { since, .. }) = self.owed.take() else { return };
        let reading = self.hub.read_repair(self.store, since).boxed();
        self.running = Some(RunningRepair { since, safe: self.safe, reading });
    }

    /// Ends the repair. Returns the cursor before which everything has been delivered. After a
    /// failure, or if no census came before the repair, it is owed again.
    pub fn end(&mut self, outcome: Result<(), StoreError>) -> Option<ResumeCursor> {
        let RunningRepair { since, safe, .. } = self.running.take()?;
        let now = Instant::now();
        self.ended = Some(now);
        let pause = match outcome {
            Ok(()) => {
                self.backoff.reset();
                if safe.is_some() {
                    return safe;
                }
                REPAIR_EVERY
            }
            Err(error) => {
                tracing::debug!(%error, "cannot read the updates that may have been lost");
                self.backoff.delay()
            }
        };
        let since = self.owed.map_or(since, |owed| owed.since.min(since));
        self.owed = Some(Owed { since, at: now + pause });
        None
    }
}
