//! The staff feed: everything that changes, conflated.
//!
//! The hub notes every update; a watcher keeps the newest state of each order until its session takes them, at most
//! `max_rate` times a second. Without watchers a note costs one load.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use galley_protocol::frame::Watch;
use galley_protocol::{Deleted, Order, OrderId, Status, Update};

/// The most orders that wait for one watcher; at the bound the oldest order is left out of the feed.
const MAX_WAITING: usize = 10_000;

/// The watchers.
#[derive(Debug, Default)]
pub struct Feed {
    watchers: Mutex<Vec<Arc<Waiting>>>,
    count: AtomicUsize,
}

#[derive(Debug)]
struct Waiting {
    watch: Watch,
    newest: Mutex<BTreeMap<OrderId, Update>>,
}

/// One watcher; the feed forgets it when it is dropped.
#[derive(Debug)]
pub struct Watcher(Arc<Waiting>);

/// What changed since the last time.
#[derive(Debug, Default)]
pub struct Changed {
    /// The newest states, by rising id.
    pub orders: Vec<Order>,
    /// The deletions.
    pub deleted: Vec<Deleted>,
}

impl Feed {
    /// Adds a watcher.
    pub fn watch(&self, watch: Watch) -> Watcher {
        let waiting = Arc::new(Waiting { watch, newest: Mutex::default() });
        let mut watchers = lock(&self.watchers);
        watchers.retain(|waiting| Arc::strong_count(waiting) > 1);
        watchers.push(Arc::clone(&waiting));
        self.count.store(watchers.len(), Ordering::Relaxed);
        Watcher(waiting)
    }

    /// Notes what changed, for every watcher that wants to see it.
    pub fn note(&self, updates: &[Update]) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut watchers = lock(&self.watchers);
        watchers.retain(|waiting| Arc::strong_count(waiting) > 1);
        self.count.store(watchers.len(), Ordering::Relaxed);
        for waiting in watchers.iter() {
            let mut newest = lock(&waiting.newest);
            for update in updates.iter().filter(|update| wants(&waiting.watch, update)) {
                let known = newest.get(&update.order_id).map(|known| known.version);
                if known.is_none_or(|known| known < update.version) {
                    newest.insert(update.order_id, update.clone());
                }
                if newest.len() > MAX_WAITING {
                    newest.pop_first();
                }
            }
        }
    }
}

impl Watcher {
    /// Takes what changed since the last time.
    #[must_use]
    pub fn take(&self) -> Changed {
        let newest = std::mem::take(&mut *lock(&self.0.newest));
        let mut changed = Changed::default();
        for update in newest.into_values() {
            match update.status {
                None => changed.deleted.push(Deleted { order_id: update.order_id, version: update.version }),
                Some(_) => changed.orders.extend(update.order()),
            }
        }
        changed
    }
}

/// An order is shown when its status is, or was before, one of those watched: so a watcher also sees it leave.
fn wants(watch: &Watch, update: &Update) -> bool {
    let hero = watch.hero_id.is_none_or(|hero_id| hero_id == update.hero_id);
    let was = |status: &Status| match (status, update.status) {
        (_, None) | (Status::Pending, _) => true,
        (Status::InProgress, Some(now)) => now == Status::InProgress || (!now.is_active() && update.version.0 > 2),
        (Status::Completed | Status::Cancelled, Some(now)) => now == *status,
    };
    hero && (watch.status.is_empty() || watch.status.iter().any(was))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
