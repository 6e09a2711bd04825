//! Reads which heroes were deleted, refuses their tokens and closes their sockets and event
//! streams.
//!
//! The gateway that deletes a hero does this at once ([`dismiss`]). The others read the latest
//! deletions from the database every second. No message on the bus is needed, so none can be lost.
//! The time of a deletion is set before its commit. Each read therefore goes back a minute further
//! than the last one, and all deletions are read again now and then.

use std::collections::HashSet;
use std::time::Duration;

use galley_protocol::HeroId;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::state::AppState;

/// Interval of the reads. A failed read is repeated after it.
const EVERY: Duration = Duration::from_secs(1);
/// Greatest time between a deletion and its commit for which the next reads still find it.
const OVERLAP: Duration = Duration::from_mins(1);
/// Interval of the reads of all deletions.
const ALL_EVERY: Duration = Duration::from_mins(10);

/// Reads the deleted heroes for one gateway.
pub struct DeletedHeroes {
    state: AppState,
    /// Beginning of the last read.
    read: Option<Instant>,
    /// Beginning of the last read of all deletions.
    read_all: Option<Instant>,
}

impl DeletedHeroes {
    pub fn new(state: AppState) -> Self {
        Self { state, read: None, read_all: None }
    }

    /// Reads every second until `stop`.
    pub async fn follow(mut self, stop: CancellationToken) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        stop.run_until_cancelled(async {
            loop {
                ticks.tick().await;
                self.read().await;
            }
        })
        .await;
    }

    /// Reads once. The store logs a failure.
    pub async fn read(&mut self) {
        let now = Instant::now();
        let is_fresh = self.read_all.is_some_and(|read_all| now - read_all < ALL_EVERY);
        let within = self.read.filter(|_| is_fresh).map(|read| now - read + OVERLAP);
        let before = if within.is_none() { self.state.revoked.all() } else { HashSet::new() };
        let Ok(deleted) = self.state.commands.store().deleted_heroes(within).await else { return };
        let deleted: HashSet<HeroId> = deleted.into_iter().collect();
        self.state.revoked.remove(before.difference(&deleted).copied());
        dismiss(&self.state, deleted);
        self.read = Some(now);
        if within.is_none() {
            self.read_all = Some(now);
        }
    }
}

/// Refuses the tokens of deleted heroes from now on, and closes their sockets and event streams.
pub fn dismiss(state: &AppState, deleted: impl IntoIterator<Item = HeroId>) {
    for id in state.revoked.add(deleted) {
        state.hub.dismiss(id);
    }
}
