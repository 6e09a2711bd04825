//! Rate limit for log lines about frequent events.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Seconds after a line during which further events are only counted.
const PAUSE: u64 = 1;

/// The moment from which seconds are counted.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Lets one event a second pass and counts the others. Tasks may share it. Every line that callers
/// can cause as often as they like has one for its cause.
#[derive(Debug)]
pub struct LogLimiter {
    /// The second from which the next event may pass.
    next: AtomicU64,
    /// The events since the last one that passed.
    silent: AtomicU64,
}

impl Default for LogLimiter {
    fn default() -> Self {
        Self::new()
    }
}

impl LogLimiter {
    /// Lets the first event pass.
    #[must_use]
    pub const fn new() -> Self {
        Self { next: AtomicU64::new(0), silent: AtomicU64::new(0) }
    }

    /// Returns the number of events since the last one that passed if this one passes, else `None`.
    pub fn now(&self) -> Option<u64> {
        self.in_second(BEGINNING.elapsed().as_secs())
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
    fn one_a_second_is_told_and_how_many_there_were_before() {
        let rarely = LogLimiter::default();
        let told = [0, 0, 0, 1, 7, 7].map(|second| rarely.in_second(second));
        assert_eq!(told, [Some(0), None, None, Some(2), Some(0), None]);
    }
}
