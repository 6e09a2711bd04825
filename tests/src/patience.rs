//! Waiting for an event, never for a time.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

/// How long an event may take before a test fails: far more than on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How often to look where nobody tells.
const LOOK: Duration = Duration::from_millis(20);

/// Waits for `event`, and fails the test with `what` when it does not come.
pub async fn within<T>(what: &str, event: impl Future<Output = T>) -> T {
    timeout(PATIENCE, event).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// Asks again and again until there is an answer.
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
