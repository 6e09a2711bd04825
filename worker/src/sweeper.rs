//! Claims from the database what the dispatch queue did not bring.
//!
//! One task. With the bus at hand it looks every second for PENDING orders whose entry never came; with the bus away it is the
//! only intake, and looks many times a second. Any number of workers may sweep at once: each leaves out the rows that another
//! one holds.
//!
//! An order is PENDING once, so that who was looked at when it was old enough need not be looked at again: a look begins where the one
//! before left off. At thousands of orders a second that is a sixth of all that may still be open.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use galley_bus::Backoff;
use galley_protocol::OrderId;
use galley_store::{ClaimFrom, MAX_BATCH};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::kitchen::Kitchen;

/// How often to look with the bus at hand, and how old an order must be for its entry to count as lost.
const CALM: Duration = Duration::from_secs(1);
const LOST_AFTER: Duration = Duration::from_secs(3);
/// One look of so many is at all orders: some commit long after they got their id, or are held by somebody when they are looked at.
const ALL_EVERY: u32 = 10;

/// How often to look with the bus away: every 50 to 100 ms, so that many workers do not look at once.
const AWAY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(100));

/// Runs until told to stop; then finishes the claim at hand.
pub(crate) async fn run(kitchen: Arc<Kitchen>, stop: CancellationToken) {
    let mut bus_away = kitchen.watch_bus();
    let mut backoff = Backoff::AWAY;
    let mut looks = Looks::default();
    loop {
        let away = *bus_away.borrow_and_update();
        let (age, after) = if away { (Duration::ZERO, None) } else { (LOST_AFTER, looks.next(Instant::now(), kitchen.newest())) };
        let pause = if sweep(&kitchen, after, age, &stop).await {
            backoff.reset();
            if away { AWAY.clone().delay() } else { CALM }
        } else {
            looks = Looks::default();
            backoff.delay()
        };
        // Looks at once when the bus goes away.
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = bus_away.changed() => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Claims all there is; whether the database answered.
async fn sweep(kitchen: &Kitchen, after: Option<OrderId>, age: Duration, stop: &CancellationToken) -> bool {
    while stop.run_until_cancelled(kitchen.room()).await.is_some() {
        let Ok(claimed) = kitchen.claim(ClaimFrom::Oldest { after, age, limit: MAX_BATCH }).await else { return false };
        if claimed.is_empty() {
            break;
        }
        kitchen.arm(&claimed);
        metrics::counter!("galley_orders_claimed_total", "from" => "database").increment(claimed.len() as u64);
        kitchen.tell(&kitchen.updates(&claimed)).await;
        if claimed.len() < MAX_BATCH {
            break;
        }
    }
    true
}

/// The latest looks, none of which failed.
#[derive(Debug, Default)]
struct Looks {
    /// When each was, and the greatest id claimed by then: no smaller one was given out later.
    latest: VecDeque<(Instant, Option<OrderId>)>,
    since_all: u32,
}

impl Looks {
    /// Notes a look that begins now; behind which order it is to begin.
    fn next(&mut self, now: Instant, newest: Option<OrderId>) -> Option<OrderId> {
        // The last look was at all that were old enough then.
        let last = self.latest.back().map_or(now, |(time, _)| *time);
        let was_old = |(time, _): &(Instant, _)| last - *time >= LOST_AFTER;
        while self.latest.get(1).is_some_and(was_old) {
            self.latest.pop_front();
        }
        let after = self.latest.front().filter(|look| was_old(look)).and_then(|(_, newest)| *newest);
        self.latest.push_back((now, newest));
        self.since_all = (self.since_all + 1) % ALL_EVERY;
        after.filter(|_| self.since_all != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_begins_behind_what_was_old_enough_at_the_one_before() {
        let (begin, mut looks) = (Instant::now(), Looks::default());
        let id = |number| OrderId::new(number).ok();
        // A hundred orders a second, a look a second: at second 4 those of the first second, and of zero, were old enough at second 3.
        let after: Vec<_> = (0..25).map(|n| looks.next(begin + CALM * n, id(100 * i64::from(n)))).collect();
        for (second, after) in after.into_iter().enumerate() {
            let all = second < 5 || (second + 1) % 10 == 0;
            assert_eq!(after, if all { None } else { id(100 * (i64::try_from(second).expect("small") - 4)) }, "second {second}");
        }
        assert!(looks.latest.len() <= 5);
    }

    #[test]
    fn who_claims_nothing_looks_at_everything_that_came_since() {
        let (begin, mut looks) = (Instant::now(), Looks::default());
        let idle = OrderId::new(7).ok();
        let after: Vec<_> = (0..9).map(|n| looks.next(begin + CALM * n, idle)).collect();
        assert_eq!(after, [None, None, None, None, idle, idle, idle, idle, idle]);
    }
}
