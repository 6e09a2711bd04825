//! Telling a log about something that may happen very often.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The seconds after a line in which the next ones are only counted.
const PAUSE: u64 = 60;

/// Lets one a minute pass, and counts the others. Any number of tasks may share one.
#[derive(Debug)]
pub struct Rarely {
    born: Instant,
    /// The second of this value's life from which one may pass again.
    next: AtomicU64,
    silent: AtomicU64,
}

impl Default for Rarely {
    fn default() -> Self {
        Self { born: Instant::now(), next: AtomicU64::new(0), silent: AtomicU64::new(0) }
    }
}

impl Rarely {
    /// How many were not told since the last time, when now is the time to tell; nothing otherwise.
    pub fn now(&self) -> Option<u64> {
        self.in_second(self.born.elapsed().as_secs())
    }

    fn in_second(&self, second: u64) -> Option<u64> {
        let due = |next: u64| (next <= second).then_some(second + PAUSE);
        if self.next.try_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok() {
            return Some(self.silent.swap(0, Ordering::Relaxed));
        }
        self.silent.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Rarely;

    #[test]
    fn one_a_minute_is_told_and_how_many_there_were_before() {
        let rarely = Rarely::default();
        let told = [0, 0, 59, 60, 200, 200].map(|second| rarely.in_second(second));
        assert_eq!(told, [Some(0), None, None, Some(2), Some(0), None]);
    }
}
