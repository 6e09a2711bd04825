//! The repairs of one gateway: reads of what may have been lost.
//!
//! One at a time, at most once a second, so that a bus that breaks again and again costs the
//! database a bounded number of reads. One that fails is tried again with back-off. One that is
//! owed meanwhile follows.

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};
use galley_bus::Backoff;
use galley_protocol::ResumeCursor;
use galley_store::{Store, StoreError};
use tokio::time::{Instant, sleep_until};

use crate::hub::{Hub, Repair};

/// The least time between two repairs. The first one waits so long for a census.
const REPAIR_EVERY: Duration = Duration::from_secs(1);

/// The pauses after repairs that failed.
const AFTER_FAILURE: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(2));

/// The repairs of one gateway.
pub struct Repairs<'a> {
    hub: &'a Hub,
    store: &'a dyn Store,
    /// The cursor of the last census.
    safe: Option<ResumeCursor>,
    owed: Option<Owed>,
    running: Option<Running<'a>>,
    backoff: Backoff,
    /// When the last one ended.
    ended: Option<Instant>,
}

/// A repair that has not begun.
#[derive(Clone, Copy, Debug)]
struct Owed {
    /// From each socket's welcome on, if nobody knows.
    since: Option<ResumeCursor>,
    at: Instant,
}

struct Running<'a> {
    since: Option<ResumeCursor>,
    /// The cursor of the last census before it began.
    safe: Option<ResumeCursor>,
    reading: BoxFuture<'a, Result<Repair, StoreError>>,
}

/// The next thing to do.
pub enum Step {
    /// A repair is to begin.
    Due,
    /// One has read what it is to deliver, or could not.
    Read(Result<Repair, StoreError>),
}

impl<'a> Repairs<'a> {
    /// The first repair is owed: sockets that joined before the subscription heard nothing yet.
    pub fn new(hub: &'a Hub, store: &'a dyn Store) -> Self {
        let owed = Some(Owed { since: None, at: Instant::now() + REPAIR_EVERY });
        Self { hub, store, safe: None, owed, running: None, backoff: AFTER_FAILURE, ended: None }
    }

    /// Takes the cursor of a census. The first repair has waited for one.
    pub fn count(&mut self, safe: ResumeCursor) {
        if self.safe.replace(safe).is_none()
            && let Some(owed) = &mut self.owed
        {
            owed.at = Instant::now();
        }
    }

    /// Updates may have been lost since a cursor.
    pub fn owe(&mut self, since: Option<ResumeCursor>) {
        let now = Instant::now();
        let at = self.ended.map_or(now, |ended| now.max(ended + REPAIR_EVERY));
        if let Some(owed) = &mut self.owed {
            owed.since = owed.since.min(since);
        } else {
            tracing::warn!("updates may have been lost; reading them from the database");
            self.owed = Some(Owed { since, at });
        }
    }

    /// Waits for the next thing to do. Safe to drop while it waits.
    pub async fn next(&mut self) -> Step {
        match (&mut self.running, self.owed) {
            (Some(running), _) => Step::Read((&mut running.reading).await),
            (None, Some(owed)) => {
                sleep_until(owed.at).await;
                Step::Due
            }
            (None, None) => std::future::pending().await,
        }
    }

    /// Begins the repair that is owed.
    pub fn begin(&mut self) {
        let Some(Owed { since, .. }) = self.owed.take() else { return };
        let reading = self.hub.read_repair(self.store, since).boxed();
        self.running = Some(Running { since, safe: self.safe, reading });
    }

    /// Ends the repair. Returns the cursor before which everything has been told now. Without a
    /// census, or after a failure, the repair is owed again.
    pub fn end(&mut self, outcome: Result<(), StoreError>) -> Option<ResumeCursor> {
        let Running { since, safe, .. } = self.running.take()?;
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
                tracing::debug!(%error, "cannot read what may have been lost");
                self.backoff.delay()
            }
        };
        let since = self.owed.map_or(since, |owed| owed.since.min(since));
        self.owed = Some(Owed { since, at: now + pause });
        None
    }
}
