//! The counts of a worker for its report, since its start and within the last minute.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use galley_protocol::WorkerReport;

/// The reports within the last minute.
const MINUTE: usize = 60;

#[derive(Debug, Default)]
pub(crate) struct WorkCounts {
    pub(crate) claimed: WorkCount,
    pub(crate) completed: WorkCount,
    pub(crate) adopted: WorkCount,
    /// The claimed and completed orders of the last reports, oldest first.
    earlier: Mutex<VecDeque<(u64, u64)>>,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct WorkCount(AtomicU64);

impl WorkCount {
    pub(crate) fn add(&self, orders: usize) {
        self.0.fetch_add(orders as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl WorkCounts {
    /// Returns the report. To be called once a second: the last 60 calls are the last minute.
    pub(crate) fn report(&self, preparing: usize) -> WorkerReport {
        let (claimed, completed) = (self.claimed.get(), self.completed.get());
        let mut earlier = self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        if earlier.len() >= MINUTE {
            earlier.pop_front();
        }
        earlier.push_back((claimed, completed));
        // Before the first report there was nothing.
        let before = if earlier.len() < MINUTE { None } else { earlier.front() };
        let (claimed_before, completed_before) = before.copied().unwrap_or_default();
        WorkerReport {
            preparing: preparing as u64,
            claimed,
            claimed_last_minute: claimed - claimed_before,
            completed,
            completed_last_minute: completed - completed_before,
            adopted: self.adopted.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MINUTE, WorkCounts};

    #[test]
    fn the_last_minute_is_counted_apart() {
        let counts = WorkCounts::default();
        counts.claimed.add(5);
        for _ in 1..MINUTE {
            let report = counts.report(2);
            assert_eq!((report.claimed, report.claimed_last_minute, report.preparing), (5, 5, 2));
        }
        counts.claimed.add(1);
        counts.completed.add(1);
        let report = counts.report(0);
        assert_eq!((report.claimed, report.claimed_last_minute), (6, 1));
        assert_eq!((report.completed, report.completed_last_minute), (1, 1));
        for _ in 1..MINUTE {
            counts.report(0);
        }
        let report = counts.report(0);
        assert_eq!((report.claimed, report.claimed_last_minute, report.adopted), (6, 0, 0));
    }
}
