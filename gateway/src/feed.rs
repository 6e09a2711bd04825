//! The staff feed: everything that changes, conflated.
//!
//! The hub notes every update, once however many watch; of each order the newest state is kept. A
//! watcher takes what came since its last frame, at most `max_rate` times a second, or more often
//! while it is behind. So a watcher costs what its frames cost, not what changes. Without watchers
//! a note costs one load.
//!
//! The feed loses nothing in silence. A watcher that has not been told what is dropped at the bound
//! says so in its next frame, and reads it from the database, from the cursor of its place on.

mod frames;
mod marks;
mod missing;
mod newest;
#[cfg(test)]
mod tests;
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
use newest::{Change, Newest};
pub use watcher::{Begin, Due, Told, Watcher};

/// Watchers that read from the database at the same time; the others wait for their turn.
const READERS: usize = 1;
/// The most orders whose states are to be read; at the bound every watcher reads what it was not
/// told.
const MAX_UNSURE: usize = 1_000;

/// The most orders that are looked through for the sake of one cursor.
const MAX_REACH: i64 = 1_000_000;

/// The staff feed.
#[derive(Clone, Debug)]
pub struct Feed(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    versions: Versions,
    newest: Mutex<Newest>,
    /// Changed with `newest` locked.
    watchers: AtomicUsize,
    /// Every change from then on was noted, in milliseconds; while there are watchers.
    since: AtomicI64,
    /// The orders that may have become something else than was heard.
    unsure: Mutex<BTreeSet<OrderId>>,
    frames: Frames,
    born: Instant,
    /// The turns of those who read from the database.
    readers: Arc<Semaphore>,
}

impl Feed {
    /// A feed that nobody watches. `versions`: what was told here lately.
    #[must_use]
    pub fn new(versions: Versions) -> Self {
        Self(Arc::new(Shared {
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

    /// Adds a watcher. `latest` is the newest time of a change that was heard of.
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
            self.0.since.store(latest.millis(), Ordering::Release);
        }
        self.0.watchers.fetch_add(1, Ordering::Relaxed);
        let place = newest.end();
        drop(newest);
        Watcher::new(Arc::clone(&self.0), store, watch, place, begin)
    }

    /// Notes what changed.
    pub fn note<'a>(&self, updates: impl Iterator<Item = &'a Update>) {
        if self.0.is_watched() {
            self.0.note(updates.filter_map(Change::of_update));
        }
    }

    /// The time since which every change was noted here; nothing while nobody watches.
    pub fn watched_since(&self) -> Option<Timestamp> {
        self.0.is_watched().then(|| {
            Timestamp::from_millis(self.0.since.load(Ordering::Acquire)).expect("it was one")
        })
    }

    /// Something else may have become of these orders than the updates say: their states are read.
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

    /// Changes were lost on their way here: every watcher reads from the database what it was not
    /// told.
    pub fn lose(&self) {
        if self.0.is_watched() {
            self.0.newest().lose();
        }
    }

    /// Everything before this cursor was noted.
    pub fn mark(&self, cursor: ResumeCursor) {
        self.0.newest().mark(cursor);
    }

    /// The cursor of this moment, when there is one.
    pub fn cursor(&self) -> Option<ResumeCursor> {
        let newest = self.0.newest();
        newest.cursor_at(newest.end())
    }
}

impl Shared {
    fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0
    }

    fn newest(&self) -> MutexGuard<'_, Newest> {
        lock(&self.newest)
    }

    fn note(&self, changes: impl Iterator<Item = Change>) {
        let mut newest = self.newest();
        changes.for_each(|change| _ = newest.note(change));
    }

    /// Reads the orders of which nobody is sure, for all watchers.
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
            // The states of deleted orders do not tell whose they were; a deletion is heard of, or
            // read with what is missing.
            Ok(lists) => self
                .note(lists.iter().flat_map(|States { orders, .. }| orders).map(Change::of_order)),
            Err(error) => {
                tracing::debug!(%error, "cannot read orders for the staff feed");
                lock(&self.unsure).extend(unsure);
            }
        }
    }

    /// A watcher goes. What was kept for the last one is forgotten, but for the places, which a new
    /// one must not mistake.
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

/// Returns true if a watcher who comes at this moment can still be told everything since then.
/// Deletions are kept for [`RETENTION`] only, and a read must not go through all orders there ever
/// were.
pub fn reaches(since: ResumeCursor, now: ResumeCursor) -> bool {
    let kept = i64::try_from(RETENTION.as_millis()).unwrap_or(i64::MAX);
    since.time >= now.time.minus_millis(kept)
        && now.floor.get().saturating_sub(since.floor.get()) <= MAX_REACH
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
