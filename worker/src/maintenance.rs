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
/// A worker that had nothing to do for this time does one maintenance of so many. By then the low
/// watermark has followed the last order.
const LONG_IDLE: Duration = Duration::from_mins(1);
const IDLE_EVERY: u32 = 20;

/// Takes part in a census every second, until stopped: the others see that this worker is alive,
/// and its published cursor moves.
pub(crate) async fn keep_alive(state: Arc<WorkerState>, stop: CancellationToken) {
    let mut ticks = every(PULSE);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        state.bus.report_worker(state.report());
        if let Err(error) = attend(&*state.store, &state.bus).await {
            state.outage.note("census", &error);
            // Maybe a failover, which maintenance must notice.
            state.touch();
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
    let mut left_out = IDLE_EVERY;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if state.is_idle(LONG_IDLE) && left_out < IDLE_EVERY {
            left_out += 1;
            continue;
        }
        left_out = 1;
        let _turn = state.turn().await;
        if let Err(error) = state.store.maintain().await {
            state.outage.note("maintain", &error);
            state.touch();
        }
    }
}

/// Returns a ticker that ticks at once, then after each period. Missed ticks are not made up for.
pub(crate) fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
