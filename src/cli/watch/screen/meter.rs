//! How fast and how soon: updates a second, and latencies over a sliding window.

use std::collections::VecDeque;

use galley_protocol::Timestamp;

/// How far the figures reach back, in seconds.
pub const SECONDS: usize = 60;
/// The same in milliseconds.
const WINDOW: i64 = 60_000;
/// The most latencies of a kind; at the bound the oldest go, and the window is shorter than
/// [`SECONDS`].
const MAX_SAMPLES: usize = 4_096;

/// Updates in each of the last seconds.
#[derive(Debug, Default)]
pub struct Rate {
    /// The newest second last.
    counts: VecDeque<u64>,
    newest: i64,
}

impl Rate {
    /// Counts so many updates.
    pub fn count(&mut self, updates: usize, now: Timestamp) {
        self.advance(now);
        if let Some(newest) = self.counts.back_mut() {
            *newest += u64::try_from(updates).unwrap_or(u64::MAX);
        }
    }

    /// The counts of the last full seconds, the newest last.
    pub fn seconds(&mut self, now: Timestamp) -> Vec<u64> {
        self.advance(now);
        self.counts.iter().copied().take(SECONDS).collect()
    }

    /// The mean of the last five full seconds.
    pub fn per_second(&mut self, now: Timestamp) -> f64 {
        const LAST: usize = 5;
        let seconds = self.seconds(now);
        let sum: u64 = seconds.iter().rev().take(LAST).sum();
        f64::from(u32::try_from(sum).unwrap_or(u32::MAX)) / 5.0
    }

    /// A clock that was set back adds to the newest second; one that was set forward begins anew.
    fn advance(&mut self, now: Timestamp) {
        let second = now.millis() / 1_000;
        let passed = usize::try_from(second - self.newest).unwrap_or(0);
        if self.counts.is_empty() || passed > SECONDS {
            self.counts = VecDeque::from([0; SECONDS + 1]);
        } else {
            self.counts.drain(..passed);
            self.counts.extend(std::iter::repeat_n(0, passed));
        }
        self.newest = self.newest.max(second);
    }
}

/// Latencies of one kind over the last seconds.
#[derive(Debug, Default)]
pub struct Latencies(VecDeque<(Timestamp, u64)>);

impl Latencies {
    /// Takes what lay between two moments, heard of now.
    pub fn add(&mut self, from: Timestamp, to: Timestamp, now: Timestamp) {
        if self.0.len() == MAX_SAMPLES {
            self.0.pop_front();
        }
        self.0.push_back((now, u64::try_from(to.millis() - from.millis()).unwrap_or(0)));
    }

    /// The median and the 99th percentile in milliseconds; nothing when nothing was heard.
    pub fn quantiles(&mut self, now: Timestamp) -> Option<(u64, u64)> {
        while self.0.front().is_some_and(|(heard, _)| now.millis() - heard.millis() > WINDOW) {
            self.0.pop_front();
        }
        let mut sorted: Vec<u64> = self.0.iter().map(|(_, millis)| *millis).collect();
        sorted.sort_unstable();
        // The nearest rank: the smallest latency that so many percent do not exceed.
        let rank = |percent: usize| {
            sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied()
        };
        rank(50).zip(rank(99))
    }
}

#[cfg(test)]
mod tests {
    use galley_protocol::Timestamp;

    use super::{Latencies, MAX_SAMPLES, Rate, SECONDS};

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).expect("in range")
    }

    #[test]
    fn updates_are_counted_by_the_second() {
        let mut rate = Rate::default();
        for (updates, millis) in [(3, 100_000), (2, 100_900), (5, 102_500)] {
            rate.count(updates, at(millis));
        }
        let seconds = rate.seconds(at(103_000));
        assert_eq!((seconds.len(), &seconds[SECONDS - 3..]), (SECONDS, &[5, 0, 5][..]));
        assert!((rate.per_second(at(103_000)) - 2.0).abs() < 1e-9);
        assert_eq!(
            rate.seconds(at(161_000)).iter().sum::<u64>(),
            5,
            "what is a minute ago is forgotten"
        );
        assert_eq!(rate.seconds(at(1_000_000)), [0; SECONDS]);
        rate.count(1, at(999_000));
        assert_eq!(rate.seconds(at(1_001_000)).last(), Some(&1), "a clock that was set back");
    }

    #[test]
    fn quantiles_are_of_the_last_minute() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantiles(at(0)), None);
        for millis in 1..=100 {
            latencies.add(at(1_000), at(1_000 + millis), at(5_000));
        }
        assert_eq!(latencies.quantiles(at(5_000)), Some((50, 99)));
        latencies.add(at(9_000), at(8_000), at(60_000));
        assert_eq!(
            latencies.quantiles(at(65_001)),
            Some((0, 0)),
            "of clocks that differ, nothing is below zero"
        );
        for _ in 0..2 * MAX_SAMPLES {
            latencies.add(at(0), at(7), at(66_000));
        }
        assert_eq!(
            (latencies.0.len(), latencies.quantiles(at(66_000))),
            (MAX_SAMPLES, Some((7, 7)))
        );
    }
}
