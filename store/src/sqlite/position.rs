//! The position in the order of commits, as this process knows it: it alone writes to the file.

use std::sync::atomic::{AtomicI64, Ordering};

/// The number of the last transaction that changed an order and has committed, and up to which
/// number deletions may be forgotten.
#[derive(Debug, Default)]
pub(super) struct Position {
    change: AtomicI64,
    forgotten: AtomicI64,
}

impl Position {
    /// The position of what is read from now on: all changes with a smaller number are seen.
    pub(super) fn get(&self) -> i64 {
        self.change.load(Ordering::Acquire) + 1
    }

    /// Takes the number of a transaction that has committed.
    pub(super) fn reach(&self, change: i64) {
        self.change.fetch_max(change, Ordering::Release);
    }

    /// Notes that deletions up to this number are about to be forgotten.
    pub(super) fn forget(&self, change: i64) {
        self.forgotten.fetch_max(change, Ordering::AcqRel);
    }

    /// Returns true if deletions from this position on may have been forgotten.
    pub(super) fn is_forgotten(&self, position: i64) -> bool {
        position <= self.forgotten.load(Ordering::Acquire)
    }

    /// Takes the numbers that the file has.
    pub(super) fn set(&self, change: i64, forgotten: i64) {
        self.change.store(change, Ordering::Release);
        self.forgotten.store(forgotten, Ordering::Release);
    }
}
