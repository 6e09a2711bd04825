//! Rate limit for log lines about frequent events.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Seconds after a line during which further events are only counted.
const PAUSE: u64 = 60;

/// Lets one event a minute pass and counts the others. Tasks may share it.
#[derive(Debug)]
pub struct LogLimiter {
    born: Instant,
    /// The second since `born` from which the next event may pass.
    next: AtomicU64,
    /// The events since the last one that passed.
    silent: AtomicU64,
}

impl Default for LogLimiter {
    fn default() -> Self {
        Self { born: Instant::now(), next: AtomicU64::new(0), silent: AtomicU64::new(0) }
    }
}

impl LogLimiter {
    /// Returns the number of events since the last one that passed if this one passes, else `None`.
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
    use super::LogLimiter;

    #[test]
    fn one_a_minute_is_told_and_how_many_there_were_before() {
        let rarely = LogLimiter::default();
        let told = [0, 0, 59, 60, 200, 200].map(|second| rarely.in_second(second));
        assert_eq!(told, [Some(0), None, None, Some(2), Some(0), None]);
    }
}
