//! The messages that a subscription received and has not read yet.
//!
//! The driver of a connection or a publisher in this process fills the inbox, the subscription
//! empties it. Filling never waits. The inbox is bounded in bytes. At the bound it drops new items
//! until the subscription has emptied it; then the subscription takes one [`InboxItem::Gap`]. The
//! gap is therefore always at the place of the missing items.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

/// The most bytes that wait in one inbox. Beyond it, new items are dropped.
const BOUND: usize = 16 << 20;

/// The bytes that an item costs in addition to its payload.
const OVERHEAD: usize = 128;

/// A bounded queue for one subscriber that remembers when it lost items.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    state: Mutex<InboxState<T>>,
    filled: Notify,
}

#[derive(Debug)]
struct InboxState<T> {
    items: VecDeque<(usize, T)>,
    /// The bytes of all items, overhead included.
    weight: usize,
    /// Items are missing after the last one.
    gap: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InboxItem<T> {
    Item(T),
    /// Items are missing at this point.
    Gap,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        let state = InboxState { items: VecDeque::new(), weight: 0, gap: false };
        Self { state: Mutex::new(state), filled: Notify::new() }
    }
}

impl<T> Inbox<T> {
    /// Adds an item of `bytes` bytes, or drops it at the bound.
    pub(crate) fn put(&self, bytes: usize, item: T) {
        let weight = bytes + OVERHEAD;
        let mut state = self.lock();
        // The inbox takes no item behind a gap until the gap was taken.
        if state.gap || state.weight + weight > BOUND {
            state.gap = true;
            metrics::counter!(galley_telemetry::BUS_MESSAGES_DROPPED).increment(1);
        } else {
            state.weight += weight;
            state.items.push_back((weight, item));
        }
        drop(state);
        self.filled.notify_one();
    }

    /// Notes that messages were lost before they reached the inbox.
    pub(crate) fn gap(&self) {
        self.lock().gap = true;
        self.filled.notify_one();
    }

    /// Waits for an item or a gap. For one subscriber only. Cancel safe.
    pub(crate) async fn take(&self) -> InboxItem<T> {
        loop {
            if let Some(taken) = self.take_now() {
                return taken;
            }
            self.filled.notified().await;
        }
    }

    /// Returns true if neither an item nor a gap waits.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.items.is_empty() && !state.gap
    }

    fn take_now(&self) -> Option<InboxItem<T>> {
        let mut state = self.lock();
        if let Some((weight, item)) = state.items.pop_front() {
            state.weight -= weight;
            return Some(InboxItem::Item(item));
        }
        std::mem::take(&mut state.gap).then_some(InboxItem::Gap)
    }

    fn lock(&self) -> MutexGuard<'_, InboxState<T>> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::{BOUND, Inbox, InboxItem};

    #[tokio::test]
    async fn what_overflows_is_dropped_and_leaves_a_gap_at_its_place() {
        let inbox = Inbox::default();
        inbox.put(BOUND / 2, 1);
        inbox.put(BOUND / 2, 2);
        inbox.put(1, 3);
        assert_eq!(inbox.take().await, InboxItem::Item(1));
        inbox.put(1, 4);
        assert_eq!(inbox.take().await, InboxItem::Gap);
        inbox.put(1, 5);
        assert_eq!(inbox.take().await, InboxItem::Item(5));
    }
}
