//! Heartbeats of all sockets from one task: no timer per socket.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::auth;
use crate::hub::Hub;

/// A silent peer is noticed within this part of the ping interval.
const STEPS: u32 = 16;
/// A socket is sent away within this part of its greatest age after its moment.
const AGE_STEPS: u32 = 50;
/// A token that expires is noticed within this time.
const EXPIRY_STEP: Duration = Duration::from_secs(1);

/// Asks silent peers for life after `interval`, and gives up those that stay silent for `timeout`
/// more, until `stop`. Sends away those that are older than `max_age`. Where tokens expire, it
/// looks after that as well.
pub async fn beat(
    hub: Hub,
    interval: Duration,
    timeout: Duration,
    max_age: Duration,
    tokens_expire: bool,
    stop: CancellationToken,
) {
    let period = (interval / STEPS).min(max_age / AGE_STEPS).max(Duration::from_millis(10));
    let mut steps =
        tokio::time::interval(if tokens_expire { period.min(EXPIRY_STEP) } else { period });
    steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    stop.run_until_cancelled(async {
        loop {
            steps.tick().await;
            hub.for_each(|outbox| {
                outbox.beat(interval, timeout);
                outbox.retire();
            });
            if tokens_expire {
                let now = auth::now();
                hub.for_each(|outbox| outbox.expire(now));
            }
        }
    })
    .await;
}
