//! The position in the order of commits, kept in memory: only this process writes to the file.

use std::sync::atomic::{AtomicI64, Ordering};

/// The number of the last committed transaction that changed an order, and the number up to which
/// deletions may be forgotten.
#[derive(Debug, Default)]
pub(super) struct Position {
    change: AtomicI64,
    forgotten: AtomicI64,
}

impl Position {
    /// The position of reads that begin from now on: they see all changes with smaller numbers.
    pub(super) fn get(&self) -> i64 {
        self.change.load(Ordering::Acquire) + 1
    }

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

    pub(super) fn set(&self, change: i64, forgotten: i64) {
        self.change.store(change, Ordering::Release);
        self.forgotten.store(forgotten, Ordering::Release);
    }
}
