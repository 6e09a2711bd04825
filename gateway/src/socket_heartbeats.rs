//! Heartbeats of all sockets from one task, without a timer for each socket.

use std::time::Duration;

use galley_protocol::jwt;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::hub::Hub;

/// Steps in a ping interval. A silent peer is noticed one step late at most.
const STEPS: u32 = 16;
/// Steps in the greatest age of a socket. A socket is closed one step late at most.
const AGE_STEPS: u32 = 50;
/// Longest delay until an expired token is noticed.
const EXPIRY_STEP: Duration = Duration::from_secs(1);

/// Pings peers that were silent for `interval`, gives up those that stay silent for `timeout` after
/// it, and closes sockets older than `max_age`, until `stop`. Where tokens expire, it also warns
/// and closes their sockets.
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
                let now = jwt::now();
                hub.for_each(|outbox| outbox.expire(now));
            }
        }
    })
    .await;
}
