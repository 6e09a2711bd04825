//! Heartbeats of all sockets from one task: no timer per socket.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::hub::Hub;

/// A silent peer is noticed within this part of the ping interval.
const STEPS: u32 = 16;

/// Asks silent peers for life after `interval`, and gives up those that stay silent for `timeout` more, until `stop`.
pub async fn beat(hub: Hub, interval: Duration, timeout: Duration, stop: CancellationToken) {
    let mut steps = tokio::time::interval((interval / STEPS).max(Duration::from_millis(10)));
    steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    stop.run_until_cancelled(async {
        loop {
            steps.tick().await;
            hub.for_each(|outbox| outbox.beat(interval, timeout));
        }
    })
    .await;
}
