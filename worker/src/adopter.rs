//! Takes over the orders of dead workers, and what this worker may own without knowing it.
//!
//! One task. At the start it re-arms what an earlier process left. Due times are kept; the present
//! state is published again, for the dead may not have come to it.
//!
//! A claim that failed without an answer may have committed: then this worker owns orders that it
//! does not know of, and nobody else takes them over as long as it lives. So once the database
//! answers it hands back all it has and adopts it again.

use std::sync::Arc;
use std::time::Duration;

use galley_fail_points::{FailPoint, reach};
use galley_protocol::{IncarnationId, Update};
use galley_store::{Incarnations, StoreError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::keeper::every;
use crate::kitchen::Kitchen;

/// How often to look whether a worker died, which costs next to nothing.
const PERIOD: Duration = Duration::from_millis(100);

/// How often to look for orphans for [`AFTERMATH`] after a worker died or the database did not
/// answer, and at all other times. A look costs one at every order of the last half minute. What
/// the dead asked for last may commit as late as a statement may run, and for a moment after an
/// upset of the database nobody is judged.
const SEARCH_PERIOD: Duration = Duration::from_secs(2);
const CALM_SEARCH_PERIOD: Duration = Duration::from_mins(1);
const AFTERMATH: Duration = Duration::from_secs(10);

/// How many to adopt at once, some 20 MB in memory, and so many more than it may a worker may hold
/// for it. Each chunk looks at every open order: few, large ones are faster.
const CHUNK: usize = 50_000;

/// The least time between two resolutions of a doubt: an overloaded database is not loaded further
/// by them.
const DOUBT_PERIOD: Duration = Duration::from_secs(10);

/// Runs until told to stop.
pub(crate) async fn run(kitchen: Arc<Kitchen>, stop: CancellationToken) {
    let mut ticks = every(PERIOD);
    let mut resolved = None;
    let mut search = Search::begin();
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let may_resolve = resolved.is_none_or(|last: Instant| last.elapsed() >= DOUBT_PERIOD);
        if may_resolve && kitchen.take_doubt() {
            match kitchen.store.hand_back(kitchen.owner).await {
                Ok(_) => {
                    resolved = Some(Instant::now());
                    search.alarm();
                }
                Err(error) => {
                    kitchen.doubt("hand_back", &error);
                    kitchen.keep_doubt();
                    continue;
                }
            }
        }
        let adopted = match search.is_due(&kitchen).await {
            Ok(true) => adopt(&kitchen, &stop).await,
            Ok(false) => continue,
            Err(error) => Err(error),
        };
        match adopted {
            Ok(()) => search.last = Some(Instant::now()),
            Err(error) => {
                search.alarm();
                kitchen.doubt("adopt", &error);
            }
        }
    }
}

/// When to look for orphans.
struct Search {
    /// The incarnations at the last look.
    known: Incarnations,
    /// Nothing when they must be looked for.
    last: Option<Instant>,
    /// When there was a reason to look.
    alarmed: Instant,
}

impl Search {
    /// The start is a reason: this worker may follow on one that died.
    fn begin() -> Self {
        Self { known: Incarnations::default(), last: None, alarmed: Instant::now() }
    }

    async fn is_due(&mut self, kitchen: &Kitchen) -> Result<bool, StoreError> {
        let known = kitchen.store.incarnations().await?;
        if somebody_died(&self.known, &known) {
            self.alarm();
        }
        self.known = known;
        let period =
            if self.alarmed.elapsed() < AFTERMATH { SEARCH_PERIOD } else { CALM_SEARCH_PERIOD };
        Ok(self.last.is_none_or(|last| last.elapsed() >= period))
    }

    /// Orphans must be looked for at once, and again for a while.
    fn alarm(&mut self) {
        (self.last, self.alarmed) = (None, Instant::now());
    }
}

/// Returns true if somebody has died since: who was seen alive, or who began and was never seen.
fn somebody_died(before: &Incarnations, now: &Incarnations) -> bool {
    let number = |known: &Incarnations| known.newest.map_or(0, IncarnationId::get);
    let new = now.living.iter().filter(|id| Some(**id) > before.newest).count();
    !before.living.is_subset(&now.living)
        || number(now) - number(before) > i64::try_from(new).unwrap_or(i64::MAX)
}

/// Adopts all there is; a chunk is published while the next one is adopted.
async fn adopt(kitchen: &Kitchen, stop: &CancellationToken) -> Result<(), StoreError> {
    let mut untold: Vec<Update> = Vec::new();
    // Of the chunk that is not told yet.
    let mut pending = None;
    while stop.run_until_cancelled(kitchen.room()).await.is_some() {
        let next = kitchen.bus.begin();
        let (adopted, ()) =
            tokio::join!(kitchen.store.adopt(kitchen.owner, CHUNK), kitchen.tell(&untold));
        untold.clear();
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
        kitchen.arm(&adopted);
        metrics::counter!("galley_orders_adopted_total").increment(adopted.len() as u64);
        tracing::info!(orders = adopted.len(), "orders were adopted");
        untold.extend(adopted.iter().map(|adopted| Update::of(&adopted.order)));
        if adopted.len() < CHUNK {
            break;
        }
    }
    kitchen.tell(&untold).await;
    drop(pending);
    Ok(())
}
