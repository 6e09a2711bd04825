//! Shows others every second that this gateway lives, and whether it hears; notes who else does.
//!
//! One task per gateway, from its start to its end. While the database is away nothing is known of the others.

use std::sync::Arc;
use std::time::Duration;

use galley_bus::SharedBus;
use galley_store::Store;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::state::Readiness;

const EVERY: Duration = Duration::from_secs(1);
/// How long the bus may take to answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// Takes a census every second until `stop`.
pub async fn take(store: Arc<dyn Store>, bus: SharedBus, readiness: Readiness, stop: CancellationToken) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let hearing = readiness.hearing();
        hearing.set_answers(matches!(timeout(PATIENCE, bus.ping()).await, Ok(Ok(()))));
        let hears = !hearing.is_deaf() && !readiness.is_draining();
        // The store logs that it cannot be had.
        if let Ok(census) = store.census(bus.publisher(), hears).await {
            hearing.count(&census, bus.publisher());
        }
    }
}
