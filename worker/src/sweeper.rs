//! Claims orders from the database whose entry did not arrive.
//!
//! One task. While Redis is reachable it searches four times a second for PENDING orders whose
//! entry was lost, or every two seconds while there is nothing to do. While Redis is unreachable it is the only intake and searches more often. Any
//! number of workers may sweep at once: each leaves out the rows that another one holds.
//!
//! An order never becomes PENDING again, so an order that was checked when it was old enough need
//! not be checked again. A search begins where the search before the last one ended, and ends
//! before the orders that are too young. At thousands of orders a second it therefore reads the
//! orders of half a second, instead of those of half a minute, which may all still be active.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use galley_bus::Backoff;
use galley_protocol::OrderId;
use galley_store::{ClaimFrom, IdRange, MAX_BATCH};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::worker_state::{IDLE_AFTER, WorkerState};

/// Interval of the searches while Redis is reachable. A search takes one to three milliseconds.
const CALM: Duration = Duration::from_millis(250);
/// The same for a worker that had nothing to do for a while.
const IDLE: Duration = Duration::from_secs(2);
/// Age of a PENDING order at which its entry counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(3);
/// One of this many searches reads all orders, because some commit long after their id was
/// assigned, or are locked at each search.
const ALL_EVERY: u32 = 240;

/// Interval of the searches while Redis is unreachable: 50 to 100 ms, at random, so that many
/// workers do not search at the same moment.
const AWAY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(100));

/// Runs until stopped; then finishes the claim in progress.
pub(crate) async fn run(state: Arc<WorkerState>, stop: CancellationToken) {
    let mut bus_away = state.watch_bus();
    let mut backoff = Backoff::AWAY;
    let mut looks = Looks::default();
    loop {
        let away = *bus_away.borrow_and_update();
        let (age, ids) = if away {
            (Duration::ZERO, IdRange::default())
        } else {
            (LOST_AFTER, looks.next(Instant::now(), state.newest()))
        };
        let pause = if sweep(&state, ids, age, &stop).await {
            backoff.reset();
            match (away, state.is_idle(IDLE_AFTER)) {
                (true, _) => AWAY.clone().delay(),
                (false, true) => IDLE,
                (false, false) => CALM,
            }
        } else {
            // The failed search has checked nothing: the next one reads all orders.
            looks = Looks::default();
            backoff.delay()
        };
        // Searches at once when Redis becomes unreachable.
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = bus_away.changed() => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Claims all pending orders of the range. Returns true if the database answered.
async fn sweep(state: &WorkerState, ids: IdRange, age: Duration, stop: &CancellationToken) -> bool {
    let _turn = state.turn().await;
    while stop.run_until_cancelled(state.room()).await.is_some() {
        let pending = state.bus.begin();
        let claimed = match state.claim(ClaimFrom::Oldest { ids, age, limit: MAX_BATCH }).await {
            Ok(claimed) => claimed,
            Err(error) => {
                if error.is_uncertain() {
                    pending.doubt();
                }
                return false;
            }
        };
        if claimed.is_empty() {
            break;
        }
        metrics::counter!(galley_telemetry::ORDERS_CLAIMED, "from" => "database")
            .increment(claimed.len() as u64);
        state.arm_behind(state.publish(&WorkerState::updates(&claimed)), &claimed).await;
        drop(pending);
        if claimed.len() < MAX_BATCH {
            break;
        }
    }
    true
}

/// The latest searches since one failed.
#[derive(Debug, Default)]
struct Looks {
    /// The moment of each search, and the greatest id claimed by then. No smaller id was assigned
    /// later.
    latest: VecDeque<(Instant, Option<OrderId>)>,
    /// The greatest id that was old enough at the search before the last one, and at the last one.
    old: [Option<OrderId>; 2],
    /// The number of searches since the last one that read all orders.
    since_all: u32,
}

impl Looks {
    /// Notes a search that begins now. Returns the range of the orders to read.
    fn next(&mut self, now: Instant, newest: Option<OrderId>) -> IdRange {
        self.latest.push_back((now, newest));
        let is_old = |(time, _): &(Instant, _)| now - *time >= LOST_AFTER;
        while self.latest.get(1).is_some_and(is_old) {
            self.latest.pop_front();
        }
        let old = self.latest.front().filter(|look| is_old(look)).and_then(|(_, newest)| *newest);
        let [after, last] = self.old;
        self.old = [last, old];
        self.since_all = (self.since_all + 1) % ALL_EVERY;
        IdRange {
            after: after.filter(|_| self.since_all != 0),
            // While nothing newer is claimed, a lost order may follow the last claimed one: no
            // upper end.
            until: old.filter(|old| newest > Some(*old)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> Option<OrderId> {
        OrderId::new(number.into()).ok()
    }

    #[test]
    fn an_order_is_looked_at_twice_when_it_is_old_enough() {
        let (begin, mut looks) = (Instant::now(), Looks::default());
        for look in 0..=480 {
            // A hundred orders between two searches; the first of them have no id.
            let ids = looks.next(begin + CALM * look, id(100 * look));
            let is_of_all = look < 15 || (look + 1) % 240 == 0;
            let after = if is_of_all { None } else { id(100 * (look - 14)) };
            assert_eq!(
                ids,
                IdRange { after, until: look.checked_sub(12).and_then(|old| id(100 * old)) },
                "look {look}"
            );
            assert!(looks.latest.len() <= 13);
        }
    }

    #[test]
    fn who_claims_nothing_more_looks_at_everything_that_came_since() {
        let (begin, mut looks) = (Instant::now(), Looks::default());
        let looks: Vec<_> = (0..20).map(|look| looks.next(begin + CALM * look, id(7))).collect();
        assert!(looks.iter().all(|look| look.until.is_none()));
        assert_eq!(
            looks.iter().map(|look| look.after).collect::<Vec<_>>(),
            [[None; 14].as_slice(), &[id(7); 6]].concat()
        );
    }
}
