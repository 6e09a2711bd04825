//! Paces a worker's statements of one kind.
//!
//! A statement has the fixed cost of about twelve orders. While there are few orders, each goes at
//! once in its own statement. While there are many, all orders of a tick go in one.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The least time from one batch of [`MANY`] to the next.
const TICK: Duration = Duration::from_millis(5);
/// The batch size from which the next batch waits for the tick. After a smaller batch, the next one
/// begins at once.
const MANY: usize = 8;

/// Waits until the next batch may begin. `began` and `orders` are the start and the size of the
/// last one.
pub(crate) async fn gather(began: Instant, orders: usize) {
    if orders >= MANY {
        sleep_until(began + TICK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_what_is_much_is_gathered_and_only_within_the_tick() {
        for (orders, took, waits) in [
            (MANY - 1, Duration::ZERO, Duration::ZERO),
            (MANY, Duration::ZERO, TICK),
            (MANY, TICK / 5, TICK * 4 / 5),
            (MANY, 2 * TICK, Duration::ZERO),
        ] {
            let began = Instant::now();
            tokio::time::advance(took).await;
            gather(began, orders).await;
            assert_eq!(began.elapsed(), took + waits, "{orders} orders that took {took:?}");
        }
    }
}
