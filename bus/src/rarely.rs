//! Telling a log about something that may happen very often.

use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(10);

/// Lets one in ten seconds pass.
#[derive(Debug, Default)]
pub(crate) struct Rarely {
    last: Option<Instant>,
    silent: u64,
}

impl Rarely {
    /// Now is the time to tell, and how many were not told since the last time; nothing otherwise.
    pub(crate) fn now(&mut self) -> Option<u64> {
        if self.last.is_some_and(|last| last.elapsed() < EVERY) {
            self.silent += 1;
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.silent))
    }
}
