//! Takes over the orders of dead workers, and what this worker may own without knowing it.
//!
//! One task. At the start it re-arms what an earlier process left. Due times are kept; the present state is published again, for
//! the dead may not have come to it.
//!
//! A claim that failed without an answer may have committed: then this worker owns orders that it does not know of, and nobody
//! else takes them over as long as it lives. So once the database answers it hands back all it has and adopts it again.

use std::sync::Arc;
use std::time::Duration;

use galley_fail_points::{FailPoint, reach};
use galley_protocol::Update;
use galley_store::StoreError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::keeper::every;
use crate::kitchen::Kitchen;

/// How often to look for orphans.
const PERIOD: Duration = Duration::from_millis(250);

/// How many to adopt at once.
const CHUNK: usize = 5_000;

/// The least time between two resolutions of a doubt: an overloaded database is not loaded further by them.
const DOUBT_PERIOD: Duration = Duration::from_secs(10);

/// Runs until told to stop.
pub(crate) async fn run(kitchen: Arc<Kitchen>, stop: CancellationToken) {
    let mut ticks = every(PERIOD);
    let mut resolved = None;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let may_resolve = resolved.is_none_or(|last: Instant| last.elapsed() >= DOUBT_PERIOD);
        if may_resolve && kitchen.take_doubt() {
            match kitchen.store.hand_back(kitchen.owner).await {
                Ok(_) => resolved = Some(Instant::now()),
                Err(error) => {
                    kitchen.doubt("hand_back", &error);
                    continue;
                }
            }
        }
        if let Err(error) = adopt(&kitchen, &stop).await {
            kitchen.doubt("adopt", &error);
        }
    }
}

/// Adopts all there is; a chunk is published while the next one is adopted.
async fn adopt(kitchen: &Kitchen, stop: &CancellationToken) -> Result<(), StoreError> {
    let mut untold: Vec<Update> = Vec::new();
    while stop.run_until_cancelled(kitchen.room()).await.is_some() {
        let (adopted, ()) = tokio::join!(kitchen.store.adopt(kitchen.owner, CHUNK), kitchen.tell(&untold));
        untold.clear();
        let adopted = adopted?;
        if adopted.is_empty() {
            break;
        }
        reach(FailPoint::AfterAdoptCommit);
        kitchen.arm(&adopted);
        metrics::counter!("galley_orders_adopted_total").increment(adopted.len() as u64);
        tracing::info!(orders = adopted.len(), "orders were adopted");
        untold.extend(adopted.iter().map(|adopted| kitchen.update(&adopted.order)));
        if adopted.len() < CHUNK {
            break;
        }
    }
    kitchen.tell(&untold).await;
    Ok(())
}
