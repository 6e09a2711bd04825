//! The staff feed: everything that changes, conflated.
//!
//! The hub notes every update, once however many watch; of each order the newest state is kept. A watcher takes what came
//! since its last frame, at most `max_rate` times a second. So a watcher costs what its frames cost, not what changes. Without
//! watchers a note costs one load.

mod frames;
mod newest;
pub mod repair;
mod watcher;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use galley_protocol::frame::{Totals, Watch};
use galley_protocol::id::MAX_ID;
use galley_protocol::{OrderId, ResumeCursor, Timestamp, Update};
use tokio::sync::Notify;
use tokio::time::Instant;

use frames::Frames;
use newest::{Change, Newest};
pub use watcher::Watcher;

/// The staff feed.
#[derive(Clone, Debug)]
pub struct Feed(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    newest: Mutex<Newest>,
    /// Changed with `newest` locked.
    watchers: AtomicUsize,
    frames: Frames,
    born: Instant,
    /// Updates may be missing since then.
    behind: Mutex<Option<ResumeCursor>>,
    fell_behind: Notify,
    /// The moment from which updates may be missing when none was ever heard.
    beginning: ResumeCursor,
}

impl Default for Feed {
    fn default() -> Self {
        Self(Arc::new(Shared {
            newest: Mutex::default(),
            watchers: AtomicUsize::new(0),
            frames: Frames::default(),
            born: Instant::now(),
            behind: Mutex::default(),
            fell_behind: Notify::new(),
            beginning: beginning(),
        }))
    }
}

impl Feed {
    /// Adds a watcher, who was told these totals, if any.
    #[must_use]
    pub fn watch(&self, watch: Watch, told: Option<Totals>) -> Watcher {
        let newest = self.0.newest();
        self.0.watchers.fetch_add(1, Ordering::Relaxed);
        let place = newest.end();
        drop(newest);
        Watcher::new(Arc::clone(&self.0), watch, place, told)
    }

    /// Notes what changed.
    pub fn note(&self, updates: &[Update]) {
        if self.0.is_watched() {
            self.note_changes(updates.iter().filter_map(Change::of_update));
        }
    }

    /// Updates may be missing since this moment, or since the beginning.
    pub fn fall_behind(&self, since: Option<ResumeCursor>) {
        if !self.0.is_watched() {
            return;
        }
        let since = since.unwrap_or(self.0.beginning);
        let mut behind = lock(&self.0.behind);
        *behind = Some(behind.filter(|before| before.time <= since.time).unwrap_or(since));
        drop(behind);
        self.0.fell_behind.notify_one();
    }

    fn note_changes(&self, changes: impl Iterator<Item = Change>) {
        let mut newest = self.0.newest();
        changes.for_each(|change| newest.note(change));
    }

    /// Waits until updates may be missing, and says since when.
    async fn behind(&self) -> ResumeCursor {
        loop {
            if let Some(since) = lock(&self.0.behind).take() {
                return since;
            }
            self.0.fell_behind.notified().await;
        }
    }
}

impl Shared {
    fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0
    }

    fn newest(&self) -> MutexGuard<'_, Newest> {
        lock(&self.newest)
    }

    /// A watcher goes. What was kept for the last one is forgotten, but for the places, which a new one must not mistake.
    fn leave(&self) {
        let mut newest = self.newest();
        if self.watchers.fetch_sub(1, Ordering::Relaxed) == 1 {
            newest.clear();
            drop(newest);
            self.frames.clear();
        }
    }
}

/// The start of this process, by its own clock: the margin of the reads is greater than the difference of clocks that are set.
/// The floor is that of the database at the time of the read.
fn beginning() -> ResumeCursor {
    let millis = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis());
    let time = i64::try_from(millis).ok().and_then(|millis| Timestamp::from_millis(millis).ok());
    let floor = OrderId::new(MAX_ID).expect("the greatest id is an id");
    ResumeCursor { time: time.expect("the clock is set to a time before the year 10000"), floor, position: 0 }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
