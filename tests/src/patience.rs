//! Waiting for events with a time-out, never for a fixed time.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

/// The time after which a missing event fails a test: far more than it takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The polling interval.
const LOOK: Duration = Duration::from_millis(20);

/// Waits for `event`; fails the test with `what` if it does not come.
pub async fn within<T>(what: &str, event: impl Future<Output = T>) -> T {
    timeout(PATIENCE, event).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// Polls `ask` until it returns an answer; fails the test with `what` if there is none.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    within(what, async {
        loop {
            looks.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    })
    .await
}
