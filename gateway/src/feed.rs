//! The staff feed: all changes, conflated to the newest state of each order.
//!
//! The hub notes each update once, however many watchers there are. A watcher takes the changes
//! since its last frame at most `max_rate` times a second; one that is behind gets several frames
//! at a time. A watcher therefore costs its frames, not the number of changes. Without watchers,
//! noting an update costs one atomic load.
//!
//! No loss goes unnoticed. If changes are dropped at a bound before a watcher was sent them, its
//! next frame says so, and it reads them from the database, from the cursor of its position on.

#[cfg(test)]
mod feed_tests;
mod frames;
mod marks;
mod missing;
mod newest;
mod watcher;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use galley_protocol::{OrderId, ResumeCursor, Timestamp, Update, Watch};
use galley_store::{RETENTION, States, Store};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::versions::Versions;
use frames::Frames;
use newest::{FeedChange, Newest};
pub use watcher::{Begin, FeedDue, Watcher, WatcherFrame};

/// Number of watchers that read from the database at the same time. The others wait.
const READERS: usize = 1;
/// Maximum number of orders whose states are still to be read. Beyond it, every watcher reads the
/// changes that it was not sent.
const MAX_UNSURE: usize = 1_000;

/// Maximum number of orders that a resume may have to look through.
const MAX_REACH: i64 = 1_000_000;

#[derive(Clone, Debug)]
pub struct StaffFeed(Arc<FeedState>);

#[derive(Debug)]
struct FeedState {
    versions: Versions,
    newest: Mutex<Newest>,
    /// Changed only while `newest` is locked.
    watchers: AtomicUsize,
    /// The time in milliseconds since which every change was noted. Valid while there are watchers.
    since: AtomicI64,
    /// Orders of which an update arrived that may be outdated.
    unsure: Mutex<BTreeSet<OrderId>>,
    frames: Frames,
    born: Instant,
    /// Permits to read from the database.
    readers: Arc<Semaphore>,
}

impl StaffFeed {
    #[must_use]
    pub fn new(versions: Versions) -> Self {
        Self(Arc::new(FeedState {
            versions,
            newest: Mutex::default(),
            watchers: AtomicUsize::new(0),
            since: AtomicI64::new(0),
            unsure: Mutex::default(),
            frames: Frames::default(),
            born: Instant::now(),
            readers: Arc::new(Semaphore::new(READERS)),
        }))
    }

    /// Adds a watcher. `latest` is the newest time of any change received so far.
    #[must_use]
    pub fn watch(
        &self,
        store: Arc<dyn Store>,
        watch: Watch,
        begin: Begin,
        latest: Timestamp,
    ) -> Watcher {
        let newest = self.0.newest();
        if !self.0.is_watched() {
            // Changes before the first watcher were not noted.
            self.0.since.store(latest.millis(), Ordering::Release);
        }
        self.0.watchers.fetch_add(1, Ordering::Relaxed);
        let place = newest.end();
        drop(newest);
        Watcher::new(Arc::clone(&self.0), store, watch, place, begin)
    }

    pub fn note<'a>(&self, updates: impl Iterator<Item = &'a Update>) {
        if self.0.is_watched() {
            self.0.note(updates.filter_map(FeedChange::of_update));
        }
    }

    /// The time since which every change was noted here; `None` without watchers.
    pub fn watched_since(&self) -> Option<Timestamp> {
        self.0.is_watched().then(|| {
            Timestamp::from_millis(self.0.since.load(Ordering::Acquire)).expect("it was one")
        })
    }

    /// Notes updates that may be outdated: the states of their orders will be read.
    pub fn note_unsure(&self, updates: &[&Update]) {
        if updates.is_empty() || !self.0.is_watched() {
            return;
        }
        let mut unsure = lock(&self.0.unsure);
        unsure.extend(updates.iter().map(|update| update.order_id));
        if unsure.len() > MAX_UNSURE {
            unsure.clear();
            drop(unsure);
            self.lose();
        }
    }

    /// Notes that changes were lost on their way here. Every watcher reads from the database the
    /// changes that it was not sent.
    pub fn lose(&self) {
        if self.0.is_watched() {
            self.0.newest().lose();
        }
    }

    /// Records that every change before this cursor has been noted.
    pub fn mark(&self, cursor: ResumeCursor) {
        self.0.newest().mark(cursor);
    }

    /// The cursor after the newest change, if it is known.
    pub fn cursor(&self) -> Option<ResumeCursor> {
        let newest = self.0.newest();
        newest.cursor_at(newest.end())
    }
}

impl FeedState {
    fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0
    }

    fn newest(&self) -> MutexGuard<'_, Newest> {
        lock(&self.newest)
    }

    fn note(&self, changes: impl Iterator<Item = FeedChange>) {
        let mut newest = self.newest();
        changes.for_each(|change| _ = newest.note(change));
    }

    /// Reads the orders whose last update may be outdated, for all watchers.
    async fn make_sure(&self, store: &dyn Store) {
        let unsure: Vec<_> = {
            let mut unsure = lock(&self.unsure);
            let rest = match unsure.iter().nth(galley_store::CHANGES_PAGE).copied() {
                Some(rest) => unsure.split_off(&rest),
                None => BTreeSet::new(),
            };
            std::mem::replace(&mut *unsure, rest).into_iter().collect::<Vec<_>>()
        };
        if unsure.is_empty() {
            return;
        }
        match store.states(std::slice::from_ref(&unsure)).await {
            // Deleted orders come without their hero, so they cannot be shown. Their deletion
            // arrives as an update, or with the pages that a watcher reads.
            Ok(lists) => self.note(
                lists.iter().flat_map(|States { orders, .. }| orders).map(FeedChange::of_order),
            ),
            Err(error) => {
                tracing::debug!(%error, "cannot read orders for the staff feed");
                lock(&self.unsure).extend(unsure);
            }
        }
    }

    /// Removes a watcher. After the last one all changes are dropped. Positions are not reset: a
    /// later watcher must not mistake an old one for its own.
    fn leave(&self) {
        let mut newest = self.newest();
        if self.watchers.fetch_sub(1, Ordering::Relaxed) == 1 {
            newest.clear();
            drop(newest);
            lock(&self.unsure).clear();
            self.frames.clear();
        }
    }
}

/// Returns true if a watcher that resumes at `since` can still be sent every change up to `now`.
/// Deletions are kept for [`RETENTION`] only, and a read must not go through all orders that ever
/// existed.
pub fn reaches(since: ResumeCursor, now: ResumeCursor) -> bool {
    let kept = i64::try_from(RETENTION.as_millis()).unwrap_or(i64::MAX);
    since.time >= now.time.minus_millis(kept)
        && now.low_watermark.get().saturating_sub(since.low_watermark.get()) <= MAX_REACH
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
