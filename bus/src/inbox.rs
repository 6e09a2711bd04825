//! What a subscription has heard and not yet handed on.
//!
//! Filled by whoever hears (a connection's own task, or a publisher in this process), emptied by
//! the one who holds the subscription. Filling never waits. Bounded in bytes: at the bound what
//! comes is dropped, and goes on being dropped until the listener has emptied the inbox; then it
//! takes one [`Taken::Gap`]. So the gap always stands where something is missing.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

/// The most bytes that wait in one inbox.
const BOUND: usize = 16 << 20;

/// The bytes that an item costs beside its payload.
const OVERHEAD: usize = 128;

/// A bounded queue for one listener that remembers when it lost something.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    state: Mutex<State<T>>,
    filled: Notify,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<(usize, T)>,
    weight: usize,
    gap: bool,
}

/// An item of an inbox, or a gap.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<T> {
    /// An item.
    Item(T),
    /// Items are missing here.
    Gap,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        let state = State { items: VecDeque::new(), weight: 0, gap: false };
        Self { state: Mutex::new(state), filled: Notify::new() }
    }
}

impl<T> Inbox<T> {
    /// Adds an item of so many bytes, or drops it.
    pub(crate) fn put(&self, bytes: usize, item: T) {
        let weight = bytes + OVERHEAD;
        let mut state = self.lock();
        if state.gap || state.weight + weight > BOUND {
            state.gap = true;
            metrics::counter!("galley_bus_messages_dropped_total").increment(1);
        } else {
            state.weight += weight;
            state.items.push_back((weight, item));
        }
        drop(state);
        self.filled.notify_one();
    }

    /// Something was lost before it came here.
    pub(crate) fn gap(&self) {
        self.lock().gap = true;
        self.filled.notify_one();
    }

    /// Waits for an item or a gap. For one listener only; safe to drop while it waits.
    pub(crate) async fn take(&self) -> Taken<T> {
        loop {
            if let Some(taken) = self.take_now() {
                return taken;
            }
            self.filled.notified().await;
        }
    }

    /// Returns true if nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.items.is_empty() && !state.gap
    }

    fn take_now(&self) -> Option<Taken<T>> {
        let mut state = self.lock();
        if let Some((weight, item)) = state.items.pop_front() {
            state.weight -= weight;
            return Some(Taken::Item(item));
        }
        std::mem::take(&mut state.gap).then_some(Taken::Gap)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::{BOUND, Inbox, Taken};

    #[tokio::test]
    async fn what_overflows_is_dropped_and_leaves_a_gap_at_its_place() {
        let inbox = Inbox::default();
        inbox.put(BOUND / 2, 1);
        inbox.put(BOUND / 2, 2);
        inbox.put(1, 3);
        assert_eq!(inbox.take().await, Taken::Item(1));
        inbox.put(1, 4);
        assert_eq!(inbox.take().await, Taken::Gap);
        inbox.put(1, 5);
        assert_eq!(inbox.take().await, Taken::Item(5));
    }
}
