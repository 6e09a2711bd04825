//! Keeps the incarnation and the publisher alive and the store tidy. Two tasks, so that slow
//! tidying never makes a living worker look dead.

use std::sync::Arc;
use std::time::Duration;

use galley_bus::SharedBus;
use galley_store::{Store, StoreError};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::kitchen::Kitchen;

const PULSE: Duration = Duration::from_secs(1);
/// A second's worth of orders is looked at in a few milliseconds: whoever waits for one of the
/// cores hardly notices.
const UPKEEP: Duration = Duration::from_secs(1);

/// Shows others that this worker lives, and publishes how far it has announced what it committed,
/// until told to stop.
pub(crate) async fn keep_alive(kitchen: Arc<Kitchen>, stop: CancellationToken) {
    let mut ticks = every(PULSE);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = attend(&*kitchen.store, &kitchen.bus).await {
            kitchen.outage.note("census", &error);
        }
    }
}

/// Attends a census. Whoever is not in one may not commit anything: nobody would miss it.
pub(crate) async fn attend(store: &dyn Store, bus: &SharedBus) -> Result<(), StoreError> {
    // A gateway may live in the same process.
    let census = store.census(bus.publisher(), bus.hears()).await?;
    bus.mark(census.safe);
    Ok(())
}

/// Moves the floor up and forgets what is old, until told to stop.
pub(crate) async fn maintain(kitchen: Arc<Kitchen>, stop: CancellationToken) {
    let mut ticks = every(UPKEEP);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = kitchen.store.maintain().await {
            kitchen.outage.note("maintain", &error);
        }
    }
}

/// Ticks at once, then so often; a tick that was missed is not made up for.
pub(crate) fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
