//! The updates that wait for one session, bounded in bytes.
//!
//! At the bound all waiting updates are dropped, and only the ids of their orders are kept. When
//! these do not fit either, or it is unknown which updates were missed, only the cursor is kept
//! after which updates are missing.

use std::collections::{BTreeSet, HashMap, VecDeque};

use galley_protocol::{OrderId, ResumeCursor};

use crate::hub::Notice;
use crate::metrics;
use crate::versions::VersionSeen;

/// The bytes of an order id in a [`BTreeSet`] that is filled with rising ids: 8 bytes, in nodes
/// that are half full.
const OF_MISSED: usize = 2 * size_of::<OrderId>();

#[derive(Clone, Debug, PartialEq)]
pub enum Missed {
    /// Every change after this cursor.
    Since(ResumeCursor),
    /// The current states of these orders.
    Orders {
        /// The orders, at least one.
        ids: BTreeSet<OrderId>,
        /// The earliest cursor of the updates that were missed.
        since: ResumeCursor,
        /// The cursor of the last of these updates: the one that the client has after all of them.
        until: ResumeCursor,
    },
}

/// The updates that wait for one session, after those that it has missed. The bound is an argument
/// of each call: a queue exists only while a socket is behind, so the outbox keeps the bound.
#[derive(Debug, Default)]
pub struct UpdateQueue {
    /// The updates that were dropped; they come before those in `updates`.
    missed: Option<Missed>,
    updates: VecDeque<Notice>,
    /// Size of the texts of `updates`.
    bytes: usize,
}

impl UpdateQueue {
    pub fn is_empty(&self) -> bool {
        !self.is_behind() && self.updates.is_empty()
    }

    pub fn is_behind(&self) -> bool {
        self.missed.is_some()
    }

    /// Adds updates. If any were missed, these count as missed as well, because they come later.
    pub fn push(&mut self, updates: &[Notice], bound: usize) {
        if let Some(missed) = &mut self.missed {
            return missed.add(updates, bound);
        }
        let bytes = updates.iter().map(|update| update.frame.len()).sum::<usize>();
        if self.bytes + bytes <= bound {
            self.bytes += bytes;
            self.updates.extend(updates.iter().cloned());
            return;
        }
        self.miss(updates, bound);
        ::metrics::counter!(metrics::SOCKETS_BEHIND).increment(1);
    }

    /// Adds these updates and all that wait to those that were missed.
    pub fn miss(&mut self, updates: &[Notice], bound: usize) {
        let dropped = std::mem::take(&mut self.updates);
        self.bytes = 0;
        for update in dropped.iter().chain(updates) {
            let none = Missed::Orders {
                ids: BTreeSet::new(),
                since: update.mark.cursor,
                until: update.mark.cursor,
            };
            self.missed.get_or_insert(none).add([update], bound);
        }
    }

    /// Replaces everything by one cursor: `since`, or an earlier cursor of the updates that are
    /// dropped.
    pub fn fall_behind(&mut self, since: ResumeCursor) {
        let waits = self.updates.front().map(|update| update.mark.cursor);
        let missed = self.missed.as_ref().map(Missed::since);
        let since = [missed, waits].into_iter().flatten().fold(since, ResumeCursor::min);
        *self = Self { missed: Some(Missed::Since(since)), ..Self::default() };
    }

    /// Drops the updates that are no newer than these states.
    pub fn drop_outdated(&mut self, sent: &HashMap<OrderId, VersionSeen>) {
        self.updates.retain(|update| {
            sent.get(&update.order_id).is_none_or(|state| update.version > state.version)
        });
        self.bytes = self.updates.iter().map(|update| update.frame.len()).sum();
    }

    /// Takes the missed updates. Must be called before the database is read: updates that are
    /// pushed later wait until after that read.
    pub fn take_missed(&mut self) -> Option<Missed> {
        self.missed.take()
    }

    pub fn pop(&mut self) -> Option<Notice> {
        let update = self.updates.pop_front()?;
        self.bytes -= update.frame.len();
        Some(update)
    }
}

impl Missed {
    /// Returns the cursor from which a client must resume if it did not get all of these updates.
    pub fn since(&self) -> ResumeCursor {
        match self {
            Self::Since(since) | Self::Orders { since, .. } => *since,
        }
    }

    /// Adds the orders of these updates. If the ids take more than `bound` bytes, only the cursor
    /// is kept.
    fn add<'a>(&mut self, updates: impl IntoIterator<Item = &'a Notice>, bound: usize) {
        let Self::Orders { ids, since, until } = self else { return };
        for update in updates {
            ids.insert(update.order_id);
            *since = update.mark.cursor.min(*since);
            *until = update.mark.cursor;
        }
        if ids.len() * OF_MISSED > bound {
            *self = Self::Since(*since);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use galley_protocol::{OrderId, Timestamp, Version};

    use super::super::tests::{cursor, update};
    use super::{Missed, OF_MISSED, UpdateQueue};
    use crate::versions::VersionSeen;

    const ROOMY: usize = 10_000;

    fn order(id: i64) -> OrderId {
        OrderId::new(id).expect("an id")
    }

    fn push(queue: &mut UpdateQueue, bound: usize, updates: impl IntoIterator<Item = (i64, i64)>) {
        for (id, position) in updates {
            queue.push(&[update(id, position)], bound);
        }
    }

    #[test]
    fn updates_come_out_in_the_order_they_went_in() {
        let mut queue = UpdateQueue::default();
        push(&mut queue, ROOMY, [(1, 1), (2, 2), (3, 3)]);
        for id in 1..=3 {
            assert_eq!(queue.pop(), Some(update(id, id)));
        }
        assert!(queue.pop().is_none() && queue.is_empty() && queue.bytes == 0);
    }

    #[test]
    fn at_the_bound_only_the_orders_are_kept_and_when_they_are_too_many_only_the_moment() {
        let bound = 2 * update(1, 1_000).frame.len();
        let mut queue = UpdateQueue::default();
        let updates = [(7, 2_000), (3, 1_000), (8, 3_000), (3, 5_000), (9, 4_000)];
        push(&mut queue, bound, updates);
        let ids = BTreeSet::from([3, 7, 8, 9].map(order));
        let missed = Missed::Orders { ids, since: cursor(1_000), until: cursor(4_000) };
        assert_eq!(queue.take_missed(), Some(missed));
        push(&mut queue, bound, [(9, 9_000)]);
        assert_eq!(queue.pop(), Some(update(9, 9_000)));

        let most = i64::try_from(bound / OF_MISSED).expect("few");
        push(&mut queue, bound, (1..=most).map(|id| (id, 1_000 * id)));
        let Some(Missed::Orders { ids, .. }) = queue.take_missed() else { panic!("it has room") };
        assert_eq!(ids.len(), bound / OF_MISSED);
        push(&mut queue, bound, (1..=most + 9).map(|id| (id, 1_000 * id)));
        assert_eq!(queue.take_missed(), Some(Missed::Since(cursor(1_000))));
    }

    #[test]
    fn the_earliest_cursor_counts_and_what_waited_is_not_lost() {
        let mut queue = UpdateQueue::default();
        queue.fall_behind(cursor(100));
        queue.fall_behind(cursor(200));
        push(&mut queue, ROOMY, [(1, 50)]);
        assert_eq!(queue.take_missed(), Some(Missed::Since(cursor(100))));
        assert!(queue.is_empty());
        push(&mut queue, ROOMY, [(2, 250)]);
        queue.fall_behind(cursor(300));
        assert!(queue.pop().is_none());
        assert_eq!(queue.take_missed(), Some(Missed::Since(cursor(250))));
    }

    #[test]
    fn what_may_be_outdated_is_read_and_so_is_what_waits() {
        let mut queue = UpdateQueue::default();
        push(&mut queue, ROOMY, [(1, 5)]);
        queue.miss(&[update(2, 3)], ROOMY);
        push(&mut queue, ROOMY, [(3, 9)]);
        let ids = BTreeSet::from([1, 2, 3].map(order));
        let missed = Missed::Orders { ids, since: cursor(3), until: cursor(9) };
        assert_eq!(queue.take_missed(), Some(missed));
        assert!(queue.is_empty());
    }

    #[test]
    fn what_waits_and_is_no_newer_than_what_is_told_before_it_is_dropped() {
        let bound = 3 * update(1, 1).frame.len();
        let mut queue = UpdateQueue::default();
        push(&mut queue, bound, [(1, 1), (2, 2), (3, 3)]);
        let sent = [(1, Version::FIRST.next()), (2, Version::FIRST), (4, Version::FIRST)];
        let sent = sent.map(|(id, version)| {
            (order(id), VersionSeen { version, time: Some(Timestamp::EPOCH) })
        });
        queue.drop_outdated(&HashMap::from(sent));
        push(&mut queue, bound, [(4, 4), (5, 5)]);
        for id in 3..=5 {
            assert_eq!(queue.pop(), Some(update(id, id)), "there was room again");
        }
        assert!(queue.is_empty());
    }
}
