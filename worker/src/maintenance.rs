//! Keeps the incarnation and the publisher alive and the store tidy. There are two tasks, so that
//! slow maintenance never makes a live worker look dead.

use std::sync::Arc;
use std::time::Duration;

use galley_bus::SharedBus;
use galley_store::{Store, StoreError};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::worker_state::WorkerState;

const PULSE: Duration = Duration::from_secs(1);
/// Interval of maintenance. The orders of one second are read in a few milliseconds, so that other
/// work hardly waits for a core.
const UPKEEP: Duration = Duration::from_secs(1);

/// Takes part in a census every second, until stopped: the others see that this worker is alive,
/// and its published cursor moves.
pub(crate) async fn keep_alive(state: Arc<WorkerState>, stop: CancellationToken) {
    let mut ticks = every(PULSE);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = attend(&*state.store, &state.bus).await {
            state.outage.note("census", &error);
        }
    }
}

/// Takes part in a census. Before the first one a process must not commit anything, because its
/// death would go unnoticed.
pub(crate) async fn attend(store: &dyn Store, bus: &SharedBus) -> Result<(), StoreError> {
    // A gateway in the same process may receive updates.
    let census = store.census(bus.publisher(), bus.is_receiving()).await?;
    bus.mark(census.safe);
    Ok(())
}

/// Raises the low watermark and deletes old records, until stopped.
pub(crate) async fn maintain(state: Arc<WorkerState>, stop: CancellationToken) {
    let mut ticks = every(UPKEEP);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = state.store.maintain().await {
            state.outage.note("maintain", &error);
        }
    }
}

/// Returns a ticker that ticks at once, then after each period. Missed ticks are not made up for.
pub(crate) fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
