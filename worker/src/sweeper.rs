//! Claims from the database what the dispatch queue did not bring.
//!
//! One task. With the bus at hand it looks every second for PENDING orders whose entry never came; with the bus away it is the
//! only intake, and looks many times a second. Any number of workers may sweep at once: each leaves out the rows that another
//! one holds.

use std::sync::Arc;
use std::time::Duration;

use galley_bus::Backoff;
use galley_store::{ClaimFrom, MAX_BATCH};
use tokio_util::sync::CancellationToken;

use crate::kitchen::Kitchen;

/// How often to look with the bus at hand, and how old an order must be for its entry to count as lost.
const CALM: Duration = Duration::from_secs(1);
const LOST_AFTER: Duration = Duration::from_secs(3);

/// How often to look with the bus away: every 50 to 100 ms, so that many workers do not look at once.
const AWAY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(100));

/// Runs until told to stop; then finishes the claim at hand.
pub(crate) async fn run(kitchen: Arc<Kitchen>, stop: CancellationToken) {
    let mut bus_away = kitchen.watch_bus();
    let mut backoff = Backoff::AWAY;
    loop {
        let away = *bus_away.borrow_and_update();
        let pause = if sweep(&kitchen, if away { Duration::ZERO } else { LOST_AFTER }, &stop).await {
            backoff.reset();
            if away { AWAY.clone().delay() } else { CALM }
        } else {
            backoff.delay()
        };
        // Looks at once when the bus goes away.
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = bus_away.changed() => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Claims all there is; whether the database answered.
async fn sweep(kitchen: &Kitchen, age: Duration, stop: &CancellationToken) -> bool {
    while stop.run_until_cancelled(kitchen.room()).await.is_some() {
        let Ok(claimed) = kitchen.claim(ClaimFrom::Oldest { age, limit: MAX_BATCH }).await else { return false };
        if claimed.is_empty() {
            break;
        }
        kitchen.arm(&claimed);
        metrics::counter!("galley_orders_claimed_total", "from" => "database").increment(claimed.len() as u64);
        kitchen.tell(&kitchen.updates(&claimed)).await;
        if claimed.len() < MAX_BATCH {
            break;
        }
    }
    true
}
