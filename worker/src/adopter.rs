//! Takes over the orders of dead workers, and those that this worker may own without knowing.
//!
//! One task. At the start it re-arms the orders of an earlier process. Due times are kept. The
//! current states are published again, because a dead worker may not have published them.
//!
//! A claim that failed without an answer may have committed. This worker then owns orders that it
//! does not know, and no other worker takes them over while it is alive. Once the database answers,
//! this worker therefore hands back all its orders and adopts them again.

use std::sync::Arc;
use std::time::Duration;

use galley_fail_points::{FailPoint, reach};
use galley_protocol::{IncarnationId, Update};
use galley_store::{Incarnations, StoreError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::maintenance::every;
use crate::worker_state::{IDLE_AFTER, WorkerState};

/// The time between two checks for a dead worker, which cost almost nothing. A worker that had
/// nothing to do for [`IDLE_AFTER`] checks less often.
const PERIOD: Duration = Duration::from_millis(100);
const IDLE_PERIOD: Duration = Duration::from_secs(1);

/// Intervals of the searches for orphans. [`SEARCH_PERIOD`] applies for [`AFTERMATH`] after a
/// worker died or the database did not answer, [`CALM_SEARCH_PERIOD`] at all other times. A search
/// reads every order of the last half minute. It is repeated, because the last statement of a dead
/// worker may commit late (within the statement time-out), and because for a moment after an outage
/// of the database no worker counts as dead.
const SEARCH_PERIOD: Duration = Duration::from_secs(2);
const CALM_SEARCH_PERIOD: Duration = Duration::from_mins(1);
const AFTERMATH: Duration = Duration::from_secs(10);

/// The most orders that one statement adopts, some 20 MB in memory. A worker may exceed its bound
/// of orders by one chunk. Each statement reads every open order, so few, large chunks are faster.
const CHUNK: usize = 50_000;

/// The least time between two resolutions of a doubt, so that they do not add to the load of an
/// overloaded database.
const DOUBT_PERIOD: Duration = Duration::from_secs(10);

pub(crate) async fn run(state: Arc<WorkerState>, stop: CancellationToken) {
    let mut ticks = every(PERIOD);
    let mut resolved = None;
    let mut search = OwnerSearch::begin();
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let may_resolve = resolved.is_none_or(|last: Instant| last.elapsed() >= DOUBT_PERIOD);
        if may_resolve && state.take_doubt() {
            match state.store.hand_back(state.owner).await {
                Ok(_) => {
                    // The orders are orphans now: a search is due at once.
                    resolved = Some(Instant::now());
                    search.alarm();
                }
                Err(error) => {
                    state.doubt("hand_back", &error);
                    state.keep_doubt();
                    continue;
                }
            }
        }
        if !search.may_look(&state) {
            continue;
        }
        let _turn = state.turn().await;
        let adopted = match search.is_due(&state).await {
            Ok(true) => adopt(&state, &stop).await,
            Ok(false) => continue,
            Err(error) => Err(error),
        };
        match adopted {
            Ok(()) => search.last = Some(Instant::now()),
            Err(error) => {
                search.alarm();
                state.doubt("adopt", &error);
            }
        }
    }
}

/// The schedule of the searches for orphans.
struct OwnerSearch {
    /// The incarnations at the last check.
    known: Incarnations,
    /// The moment of the last search; `None` if a search is due at once.
    last: Option<Instant>,
    alarmed: Instant,
    /// The moment of the last check.
    looked: Option<Instant>,
}

impl OwnerSearch {
    /// Counts the start as a reason to search, because this worker may replace one that died.
    fn begin() -> Self {
        let alarmed = Instant::now();
        Self { known: Incarnations::default(), last: None, alarmed, looked: None }
    }

    fn may_look(&mut self, state: &WorkerState) -> bool {
        let period = if state.is_idle(IDLE_AFTER) { IDLE_PERIOD } else { PERIOD };
        // A tick may come a little early.
        let is_early = |looked: Instant| looked.elapsed() + PERIOD / 2 < period;
        let may_look = self.last.is_none() || !self.looked.is_some_and(is_early);
        if may_look {
            self.looked = Some(Instant::now());
        }
        may_look
    }

    async fn is_due(&mut self, state: &WorkerState) -> Result<bool, StoreError> {
        let known = state.store.incarnations().await?;
        if somebody_died(&self.known, &known) {
            self.alarm();
        }
        self.known = known;
        let period =
            if self.alarmed.elapsed() < AFTERMATH { SEARCH_PERIOD } else { CALM_SEARCH_PERIOD };
        Ok(self.last.is_none_or(|last| last.elapsed() >= period))
    }

    /// Makes a search due at once, and further ones for a while.
    fn alarm(&mut self) {
        (self.last, self.alarmed) = (None, Instant::now());
    }
}

/// Returns true if a worker has died between the two checks: one that was seen alive, or one that
/// began and was never seen.
fn somebody_died(before: &Incarnations, now: &Incarnations) -> bool {
    let number = |known: &Incarnations| known.newest.map_or(0, IncarnationId::get);
    // Incarnations are numbered. A new number that is not alive began and died in between.
    let new = now.living.iter().filter(|id| Some(**id) > before.newest).count();
    !before.living.is_subset(&now.living)
        || number(now) - number(before) > i64::try_from(new).unwrap_or(i64::MAX)
}

/// Adopts all orphans. Each chunk is published while the next one is adopted.
async fn adopt(state: &WorkerState, stop: &CancellationToken) -> Result<(), StoreError> {
    let mut untold: Vec<Update> = Vec::new();
    // The guard of the chunk that is not published yet.
    let mut pending = None;
    while stop.run_until_cancelled(state.room()).await.is_some() {
        let next = state.bus.begin();
        let (adopted, ()) =
            tokio::join!(state.store.adopt(state.owner, CHUNK), state.publish(&untold));
        untold.clear();
        // The previous chunk was published.
        drop(pending.take());
        let adopted = match adopted {
            Ok(adopted) => adopted,
            Err(error) => {
                if error.is_uncertain() {
                    next.doubt();
                }
                return Err(error);
            }
        };
        pending = Some(next);
        if adopted.is_empty() {
            break;
        }
        reach(FailPoint::AfterAdoptCommit);
        state.arm(&adopted);
        state.counts.adopted.add(adopted.len());
        metrics::counter!(galley_telemetry::ORDERS_ADOPTED).increment(adopted.len() as u64);
        tracing::info!(orders = adopted.len(), "orders were adopted");
        untold.extend(adopted.iter().map(|adopted| Update::of(&adopted.order)));
        if adopted.len() < CHUNK {
            break;
        }
    }
    state.publish(&untold).await;
    drop(pending);
    Ok(())
}
