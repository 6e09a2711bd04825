//! The last ten minutes of the whole service, second by second: orders placed and ended, and how
//! long they took.
//!
//! The subscriber notes the updates of all processes by the times that they carry, and every second
//! whether it heard all of them. A second is known only if it did: a gateway that has just started,
//! that is deaf, or that does not hear a live publisher shows nothing of that time rather than too
//! little. Changes that a repair reads are not counted. A publisher that dies may take along the
//! updates of its last moment; nothing else goes uncounted.
//!
//! The memory is bounded: [`SECONDS`] seconds, each with three counts and at most [`SAMPLES`] times
//! of two kinds, 300 KiB together.

use std::collections::VecDeque;

use galley_protocol::{Status, Timestamp, Update};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The seconds that are kept.
const SECONDS: usize = 600;
/// A step of the clock by so many seconds empties the history.
const FAR: i64 = 600;
/// The most orders of a second whose times are kept. They stand for the others.
const SAMPLES: usize = 64;
/// The most seconds between two censuses. If more passed, what happened meanwhile is unknown.
const MAX_STEP: i64 = 5;
/// The most seconds by which a change may be newer than the last census.
const MAX_AHEAD: i64 = 5;
/// The seconds of which the mean rate is shown.
const MINUTE: usize = 60;

#[derive(Debug, Default)]
pub struct History {
    /// The seconds from `first` to `last`, since the epoch by the clock of the database.
    seconds: VecDeque<Second>,
    first: i64,
    last: i64,
    /// The second of the last census; `None` before the first.
    census: Option<i64>,
}

#[derive(Debug, Default)]
struct Second {
    known: bool,
    placed: u32,
    completed: u32,
    cancelled: u32,
    /// Milliseconds until an order began.
    waits: Vec<u32>,
    /// Milliseconds until it ended.
    totals: Vec<u32>,
}

/// One second of the service.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct HistorySecond {
    /// The second, as seconds since the epoch, by the clock of the database.
    #[schema(minimum = 0)]
    pub at: i64,
    /// The orders that were placed.
    pub placed: u32,
    /// The orders that were completed.
    pub completed: u32,
    /// The orders that were cancelled.
    pub cancelled: u32,
    /// The median of the milliseconds from an order to the beginning of its preparation, of the
    /// orders that ended in this second. Absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub wait_ms: Option<u32>,
    /// The median of the milliseconds from an order to its end. Absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub total_ms: Option<u32>,
    /// The 95th percentile of the same. Absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub total_p95_ms: Option<u32>,
}

/// Orders per second, as the mean of the known seconds of the last minute.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct MeanRates {
    /// The number of known seconds.
    pub seconds: u32,
    /// Placed orders per second.
    pub placed: f64,
    /// Completed orders per second.
    pub completed: f64,
    /// Cancelled orders per second.
    pub cancelled: f64,
}

/// The times of an order in its frame.
#[derive(Deserialize)]
struct OrderTimes {
    order_time: Timestamp,
    started_time: Option<Timestamp>,
}

impl History {
    /// Counts the updates. Each comes once.
    pub fn note(&mut self, updates: &[Update]) {
        for update in updates {
            let Some(second) = self.at(update.time.millis().div_euclid(1_000)) else { continue };
            match update.status {
                Some(Status::Pending) => second.placed += 1,
                Some(Status::Completed) => second.completed += 1,
                Some(Status::Cancelled) => second.cancelled += 1,
                Some(Status::InProgress) | None => continue,
            }
            if update.status != Some(Status::Pending) && second.totals.len() < SAMPLES {
                second.sample(update);
            }
        }
    }

    /// Notes a census at `now`, and for how many seconds before it updates may be missing; `None`:
    /// none are.
    pub fn census(&mut self, now: Timestamp, missing: Option<i64>) {
        let now = now.millis().div_euclid(1_000);
        let Some(before) = self.census.filter(|before| (now - before).abs() < FAR) else {
            let seconds = VecDeque::from([Second::default()]);
            *self = Self { seconds, first: now, last: now, census: Some(now) };
            return;
        };
        let step = now - before;
        self.census = Some(now.max(before));
        for at in before + 1..=now {
            if let Some(second) = self.at(at) {
                second.known = step <= MAX_STEP;
            }
        }
        for at in missing.map_or(now + 1, |missing| now - missing.min(FAR))..=now {
            if let Some(second) = self.at(at) {
                second.known = false;
            }
        }
    }

    /// Returns the known seconds that have ended, oldest first.
    pub fn list(&self) -> Vec<HistorySecond> {
        let ended = self.ended().filter(|(_, second)| second.known);
        let shown = ended.map(|(at, second)| {
            let quantile = |times: &[u32], percent: usize| {
                let mut times = times.to_vec();
                times.sort_unstable();
                times.get(times.len() * percent / 100).copied()
            };
            HistorySecond {
                at,
                placed: second.placed,
                completed: second.completed,
                cancelled: second.cancelled,
                wait_ms: quantile(&second.waits, 50),
                total_ms: quantile(&second.totals, 50),
                total_p95_ms: quantile(&second.totals, 95),
            }
        });
        shown.collect()
    }

    /// Returns the mean rates of the last minute; `None` if no second of it is known.
    pub fn rates(&self) -> Option<MeanRates> {
        let last: Vec<&Second> = self.ended().map(|(_, second)| second).collect();
        let last = &last[last.len().saturating_sub(MINUTE)..];
        let known = || last.iter().filter(|second| second.known);
        let seconds = u32::try_from(known().count()).unwrap_or(0);
        let mean = |count: fn(&Second) -> u32| {
            known().map(|second| f64::from(count(second))).sum::<f64>() / f64::from(seconds)
        };
        (seconds > 0).then(|| MeanRates {
            seconds,
            placed: mean(|second| second.placed),
            completed: mean(|second| second.completed),
            cancelled: mean(|second| second.cancelled),
        })
    }

    /// Returns the seconds before the last census, with their numbers.
    fn ended(&self) -> impl Iterator<Item = (i64, &Second)> {
        let census = self.census.unwrap_or(i64::MIN);
        (self.first..).zip(&self.seconds).take_while(move |(at, _)| *at < census)
    }

    /// Returns a second; `None` if it is not kept, or lies too far ahead.
    fn at(&mut self, at: i64) -> Option<&mut Second> {
        if at > self.census? + MAX_AHEAD {
            return None;
        }
        while self.last < at {
            self.last += 1;
            self.seconds.push_back(Second::default());
            if self.seconds.len() > SECONDS {
                self.seconds.pop_front();
                self.first += 1;
            }
        }
        self.seconds.get_mut(usize::try_from(at - self.first).ok()?)
    }
}

impl Second {
    fn sample(&mut self, ended: &Update) {
        let times = ended.order_json().map(serde_json::from_slice::<OrderTimes>);
        let Some(Ok(OrderTimes { order_time, started_time })) = times else { return };
        let since =
            |time: Timestamp| u32::try_from(time.since(order_time).as_millis()).unwrap_or(u32::MAX);
        self.totals.push(since(ended.time));
        self.waits.extend(started_time.map(since));
    }
}

#[cfg(test)]
mod tests {
    use galley_protocol::{HeroId, MealId, Order, OrderId, PlaceOrder, Status, Timestamp, Update};

    use super::{History, SAMPLES, SECONDS};

    fn time(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).expect("in range")
    }

    /// An order that was placed at 0 and reached this status at `at` milliseconds.
    fn update(status: Status, at: i64) -> Update {
        let command = PlaceOrder::of(MealId::FIRST);
        let order = Order::placed(OrderId::FIRST, HeroId::FIRST, &command, time(0));
        let ended = matches!(status, Status::Completed | Status::Cancelled).then(|| time(at));
        let order = Order { status, started_time: Some(time(500)), completed_time: ended, ..order };
        Update { time: time(at), ..Update::of(&order) }
    }

    fn seconds(history: &History) -> Vec<i64> {
        history.list().iter().map(|second| second.at).collect()
    }

    /// A history with a census in each second up to `last`.
    fn followed(last: i64) -> History {
        let mut history = History::default();
        for second in 0..=last {
            history.census(time(second * 1_000 + 300), None);
        }
        history
    }

    #[test]
    fn a_second_counts_the_orders_of_its_time() {
        let mut history = followed(3);
        history.note(&[
            update(Status::Pending, 2_999),
            update(Status::InProgress, 2_000),
            update(Status::Completed, 2_000),
            update(Status::Cancelled, 2_100),
            update(Status::Completed, 3_000),
        ]);
        let list = history.list();
        assert_eq!(seconds(&history), [1, 2], "the first second was heard in part");
        let second = &list[1];
        assert_eq!((second.placed, second.completed, second.cancelled), (1, 1, 1));
        assert_eq!((second.wait_ms, second.total_ms), (Some(500), Some(2_100)));
        assert_eq!((list[0].placed, list[0].total_ms), (0, None));
        let rates = history.rates().expect("known");
        assert!(rates.seconds == 2 && (rates.placed - 0.5).abs() < 1e-9, "{rates:?}");
    }

    #[test]
    fn a_time_in_which_updates_may_be_missing_is_unknown() {
        let mut history = followed(9);
        history.census(time(10_000), Some(3));
        assert_eq!(seconds(&history), [1, 2, 3, 4, 5, 6]);
        history.census(time(11_000), None);
        history.census(time(12_000), None);
        assert_eq!(seconds(&history), [1, 2, 3, 4, 5, 6, 11]);
        history.census(time(30_000), None);
        history.census(time(31_000), None);
        assert_eq!(seconds(&history), [1, 2, 3, 4, 5, 6, 11, 12], "nobody looked for long");
        history.census(time(32_000), None);
        assert_eq!(seconds(&history).last(), Some(&31));
    }

    #[test]
    fn its_memory_is_bounded() {
        let last = 1_800;
        let mut history = followed(last);
        history.note(&vec![update(Status::Completed, last * 1_000); 2 * SAMPLES]);
        history.note(&[
            update(Status::Pending, i64::from(i32::MAX) * 1_000),
            update(Status::Pending, 0),
        ]);
        assert_eq!(history.seconds.len(), SECONDS);
        assert_eq!(history.seconds.back().expect("a second").totals.len(), SAMPLES);
        assert!(history.list().len() < SECONDS);
    }

    #[test]
    fn a_clock_that_is_set_back_is_followed() {
        let mut history = followed(1_000);
        for second in 997..=1_003 {
            history.census(time(second * 1_000), None);
        }
        assert_eq!(seconds(&history).last(), Some(&1_002));
        for second in 0..=3 {
            history.census(time(second * 1_000), None);
        }
        assert_eq!(seconds(&history), [1, 2]);
    }
}
