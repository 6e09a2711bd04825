//! Reads which heroes were deleted or signed out, refuses their tokens and closes their sockets and
//! event streams.
//!
//! The gateway that deletes a hero or signs it out does this at once ([`dismiss`], [`sign_out`]).
//! The others read the latest deletions and sign-outs from the database every second. No message on
//! the bus is needed, so none can be lost. The time of a deletion is set before its commit. Each
//! read therefore goes back a minute further than the last one, and everything is read again now and
//! then.

use std::collections::HashSet;
use std::time::Duration;

use galley_protocol::{HeroId, jwt};
use galley_store::SignOut;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::state::AppState;

/// Interval of the reads. A failed read is repeated after it.
const EVERY: Duration = Duration::from_secs(1);
/// Greatest time between a deletion or a sign-out and its commit for which the next reads still find it.
const OVERLAP: Duration = Duration::from_mins(1);
/// Interval of the reads of all deletions and sign-outs.
const ALL_EVERY: Duration = Duration::from_mins(10);

/// Maximum age of a sign-out that is read: a century, which every database can subtract.
const OLDEST: Duration = Duration::from_hours(24 * 36_525);

/// Reads the revocations for one gateway.
pub struct RevocationReader {
    state: AppState,
    /// Beginning of the last read.
    read: Option<Instant>,
    /// Beginning of the last read of everything.
    read_all: Option<Instant>,
}

impl RevocationReader {
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
        let before = if within.is_none() { self.state.revoked.deleted() } else { HashSet::new() };
        let store = self.state.commands.store();
        let longest = self.state.config.tokens.rules.jwt_max_age.saturating_add(OVERLAP);
        let Ok(deleted) = store.deleted_heroes(within).await else { return };
        if self.state.verifier.is_some() {
            let Ok(sign_outs) = store.sign_outs(within.unwrap_or(longest).min(OLDEST)).await else {
                return;
            };
            // Again although they are known: a socket may have been opened while one was noted.
            for one in sign_outs {
                sign_out(&self.state, one);
            }
        }
        let deleted: HashSet<HeroId> = deleted.into_iter().collect();
        self.state.revoked.remove(before.difference(&deleted).copied());
        dismiss(&self.state, deleted);
        self.read = Some(now);
        if within.is_none() {
            self.state.revoked.forget_before(jwt::now().saturating_sub(longest.as_secs()));
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

/// Refuses the tokens of a hero that were issued before it signed out, and closes the sockets and
/// event streams that they opened.
pub fn sign_out(state: &AppState, one: SignOut) {
    state.revoked.sign_out(one);
    state.hub.sign_out(one);
}
