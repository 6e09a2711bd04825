//! The check that every socket received every state of every order that it should.
//!
//! It takes one byte for each order and socket, only for heroes that order. A socket of another
//! hero costs nothing here.

use std::collections::{HashMap, HashSet, VecDeque};

use super::received_frame::ReceivedState;
use crate::measures::Counts;
use crate::message::RunDone;

/// Maximum bytes for orders and their sockets. At the bound the oldest order is dropped. It counts
/// as unchecked unless every socket has seen its end.
const MAX_BYTES: usize = 512 << 20;
/// Estimated bytes of an order, without those of its sockets.
const OF_AN_ORDER: usize = 256;
/// Maximum settled orders of one engine that are compared with the database.
const SAMPLE: usize = 1_000;
/// Layout of the byte of a socket. Bits 0 to 2: the versions 1 to 3 that arrived in frames of their
/// own. Bit 3: the newest state is an ended one. Bits 4 to 7: the newest version, at most 15.
const ENDED: u8 = 1 << 3;
const NEWEST: u32 = 4;

/// The moment from which a socket is checked that is left out.
const NEVER: u64 = u64::MAX;

/// The states of the orders of one engine's heroes, as far as each socket knows them.
#[derive(Debug)]
pub struct Tracker {
    /// For each hero that orders, its sockets, then those of staff. A socket is checked on the
    /// orders that were due at this moment or later; [`NEVER`] on none.
    checked: Vec<Vec<u64>>,
    orders: HashMap<i64, Tracked>,
    /// Orders of this engine whose end has not been seen by every socket.
    pending: HashSet<i64>,
    by_age: VecDeque<i64>,
    bytes: usize,
}

#[derive(Debug)]
struct Tracked {
    hero: usize,
    /// The time at which it was due; `None` if this engine has not placed it, or has no answer yet.
    due: Option<u64>,
    /// The first time that its end was seen, and the state seen then.
    end: Option<(u64, ReceivedState)>,
    ends: usize,
    cells: Box<[u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In a frame of its own.
    Step,
    /// With others, in a welcome, a resync or the staff feed: versions may be missing.
    Merged,
}

/// The end of an order of this engine, as the first socket saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstEnd {
    pub due: u64,
    /// The time at which the frame arrived.
    pub at: u64,
    pub state: ReceivedState,
}

impl Tracker {
    pub fn new(sockets: impl IntoIterator<Item = usize>, staff: usize) -> Self {
        let checked = sockets.into_iter().map(|sockets| vec![0; sockets + staff]).collect();
        Self {
            checked,
            orders: HashMap::new(),
            pending: HashSet::new(),
            by_age: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Returns true if the orders of this hero are checked.
    pub fn follows(&self, hero: usize) -> bool {
        hero < self.checked.len()
    }

    pub fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    /// Excludes a socket that will not have seen everything from the checks.
    pub fn leave_out(&mut self, hero: usize, slot: usize) {
        self.checked[hero][slot] = NEVER;
    }

    /// Checks a socket on the orders that are due from now on: it came later than the others.
    pub fn check_from(&mut self, hero: usize, slot: usize, now: u64) {
        self.checked[hero][slot] = now;
    }

    /// Returns true if nobody has seen the end of an order of this hero.
    pub fn has_pending(&self, hero: usize) -> bool {
        let orders = self.pending.iter().map(|id| &self.orders[id]);
        orders.filter(|order| order.hero == hero).any(|order| order.end.is_none())
    }

    /// Forgets an order that is about to be deleted. Returns false, and keeps it, while a socket
    /// that is checked has not seen its end.
    pub fn release(&mut self, id: i64, counts: &mut Counts) -> bool {
        let Some(order) = self.orders.get(&id) else { return false };
        if order.due.is_none() || order.checked(&self.checked).any(|cell| cell & ENDED == 0) {
            return false;
        }
        self.pending.remove(&id);
        self.forget(id, counts);
        true
    }

    /// Records that a socket received a state. Returns the end of the order if no socket has seen
    /// it before.
    pub fn see(
        &mut self,
        hero: usize,
        slot: usize,
        state: &ReceivedState,
        way: Way,
        now: u64,
        counts: &mut Counts,
    ) -> Option<FirstEnd> {
        let tracked = self.order(state.id, hero, counts);
        let cell = &mut tracked.cells[slot];
        let (version, known) = (u8::try_from(state.version).unwrap_or(15).min(15), *cell >> NEWEST);
        let bit =
            if (1..=3).contains(&version) && way == Way::Step { 1 << (version - 1) } else { 0 };
        if version < known {
            counts.out_of_order += 1;
        } else if version == known && way == Way::Step {
            counts.duplicated += 1;
        }
        *cell |= bit;
        if version <= known {
            return None;
        }
        *cell = *cell & 0xF | version << NEWEST;
        if !state.has_ended() || *cell & ENDED != 0 {
            return None;
        }
        *cell |= ENDED;
        tracked.ends += 1;
        let first = tracked.end.is_none();
        tracked.end.get_or_insert((now, *state));
        if tracked.ends == tracked.cells.len() {
            self.pending.remove(&state.id);
        }
        // `due` is unknown before the order is accepted; `accept` returns such an end.
        let due = self.orders[&state.id].due.filter(|_| first)?;
        Some(FirstEnd { due, at: now, state: *state })
    }

    /// Records that an order of this engine was accepted. Returns its end if a socket saw it before
    /// the answer came.
    pub fn accept(
        &mut self,
        id: i64,
        hero: usize,
        due: u64,
        counts: &mut Counts,
    ) -> Option<FirstEnd> {
        let tracked = self.order(id, hero, counts);
        tracked.due = Some(due);
        let end = tracked.end.map(|(at, state)| FirstEnd { due, at, state });
        if tracked.ends < tracked.cells.len() {
            self.pending.insert(id);
        }
        end
    }

    /// Returns true if every checked socket has seen the end of every accepted order.
    pub fn all_seen(&mut self) -> bool {
        let (orders, checked) = (&self.orders, &self.checked);
        self.pending.retain(|id| {
            let order = &orders[id];
            order.end.is_none() || !order.checked(checked).all(|cell| cell & ENDED != 0)
        });
        self.pending.is_empty()
    }

    /// Returns the settled and unsettled orders, and counts what needs no database.
    pub fn finish(&mut self, counts: &mut Counts) -> RunDone {
        let mut done = RunDone::default();
        let stride = self.orders.len() / SAMPLE + 1;
        for (number, id) in std::mem::take(&mut self.by_age).into_iter().enumerate() {
            let Some(order) = self.orders.remove(&id) else { continue };
            if order.due.is_none() {
                continue;
            }
            self.retire(&order, counts);
            let mut versions = vec![0; 4];
            let mut ended = true;
            for cell in order.checked(&self.checked) {
                let newest = usize::from(cell >> NEWEST);
                if versions.len() <= newest {
                    versions.resize(newest + 1, 0);
                }
                versions[newest] += 1;
                ended &= cell & ENDED != 0;
            }
            let mut known = versions.iter().enumerate().filter(|(_, sockets)| **sockets > 0);
            match (known.next(), known.next()) {
                (None, _) => {}
                (Some((version, _)), None) if ended => {
                    if number % stride == 0 {
                        done.settled.push((id, i32::try_from(version).expect("it is at most 15")));
                    }
                }
                (Some(_), _) => done.unsettled.push((id, versions)),
            }
        }
        done
    }

    fn order(&mut self, id: i64, hero: usize, counts: &mut Counts) -> &mut Tracked {
        let sockets = self.checked[hero].len();
        if !self.orders.contains_key(&id) {
            self.bytes += sockets + OF_AN_ORDER;
            while self.bytes > MAX_BYTES
                && let Some(oldest) = self.by_age.pop_front()
            {
                self.forget(oldest, counts);
            }
            self.by_age.push_back(id);
        }
        let cells = || vec![0; sockets].into_boxed_slice();
        self.orders.entry(id).or_insert_with(|| Tracked {
            hero,
            due: None,
            end: None,
            ends: 0,
            cells: cells(),
        })
    }

    fn forget(&mut self, id: i64, counts: &mut Counts) {
        let Some(order) = self.orders.remove(&id) else { return };
        self.bytes -= order.cells.len() + OF_AN_ORDER;
        if self.pending.remove(&id) {
            counts.unchecked += order.cells.len() as u64;
        } else if order.due.is_some() {
            self.retire(&order, counts);
        }
    }

    /// Counts skipped versions and unchecked sockets of an order; both are certain only at the end.
    fn retire(&self, order: &Tracked, counts: &mut Counts) {
        let checked = order.checked(&self.checked);
        let missing = |cell: u8| {
            (1..=3.min(cell >> NEWEST)).filter(|version| cell & 1 << (version - 1) == 0).count()
                as u64
        };
        let (mut sockets, mut skipped) = (0, 0);
        for cell in checked {
            sockets += 1;
            skipped += missing(cell);
        }
        counts.skipped += skipped;
        counts.unchecked += order.cells.len() as u64 - sockets;
    }
}

impl Tracked {
    fn checked<'a>(&'a self, checked: &'a [Vec<u64>]) -> impl Iterator<Item = u8> + 'a {
        let due = self.due.unwrap_or(0);
        let cells = self.cells.iter().zip(&checked[self.hero]);
        cells.filter(move |(_, from)| **from <= due).map(|(cell, _)| *cell)
    }
}

#[cfg(test)]
mod tests {
    use galley_protocol::{Status, Timestamp};

    use super::{Tracker, Way};
    use crate::engine::received_frame::ReceivedState;
    use crate::measures::Counts;

    fn state(id: i64, version: i32) -> ReceivedState {
        let time = |millis| Timestamp::from_millis(millis).expect("a time");
        let status = [Status::Pending, Status::InProgress, Status::Completed]
            [usize::try_from(version - 1).expect("1 to 3")];
        ReceivedState {
            id,
            hero_id: 1,
            version,
            status,
            order_time: time(0),
            started_time: (version > 1).then(|| time(10)),
            completed_time: (version > 2).then(|| time(20)),
        }
    }

    #[test]
    fn three_steps_on_every_socket_are_all_there_is_to_say() {
        let (mut tracker, mut counts) = (Tracker::new([2], 0), Counts::default());
        assert_eq!(tracker.accept(7, 0, 100, &mut counts), None);
        for slot in 0..2 {
            for version in 1..=3 {
                let end = tracker.see(0, slot, &state(7, version), Way::Step, 500, &mut counts);
                assert_eq!(
                    end.map(|end| (end.due, end.at)),
                    (slot == 0 && version == 3).then_some((100, 500))
                );
            }
        }
        assert!(tracker.all_seen());
        let done = tracker.finish(&mut counts);
        assert_eq!(
            (done.settled, done.unsettled, counts),
            (vec![(7, 3)], vec![], Counts::default())
        );
    }

    #[test]
    fn an_end_may_come_before_the_answer() {
        let (mut tracker, mut counts) = (Tracker::new([1], 0), Counts::default());
        assert_eq!(tracker.see(0, 0, &state(7, 3), Way::Merged, 5, &mut counts), None);
        assert_eq!(tracker.accept(7, 0, 1, &mut counts).map(|end| (end.due, end.at)), Some((1, 5)));
        assert!(tracker.all_seen());
    }

    #[test]
    fn what_is_doubled_late_passed_over_or_missing_is_told() {
        let (mut tracker, mut counts) = (Tracker::new([3], 0), Counts::default());
        tracker.accept(7, 0, 0, &mut counts);
        let mut see =
            |slot, version, way| tracker.see(0, slot, &state(7, version), way, 1, &mut counts);
        see(0, 1, Way::Step);
        see(0, 1, Way::Step); // doubled
        see(0, 3, Way::Step);
        see(0, 2, Way::Step); // late
        see(1, 3, Way::Merged); // two versions and the third were not seen one by one
        see(2, 2, Way::Step); // one version passed over, the end missing
        assert!(!tracker.all_seen());
        let done = tracker.finish(&mut counts);
        assert_eq!(done.unsettled, [(7, vec![0, 0, 1, 2])]);
        assert_eq!(
            counts,
            Counts { duplicated: 1, out_of_order: 1, skipped: 4, ..Counts::default() }
        );
    }

    #[test]
    fn a_socket_is_checked_on_what_is_ordered_after_it_came() {
        let (mut tracker, mut counts) = (Tracker::new([2], 0), Counts::default());
        tracker.accept(7, 0, 100, &mut counts);
        tracker.check_from(0, 1, 200);
        tracker.accept(8, 0, 200, &mut counts);
        for id in [7, 8] {
            tracker.see(0, 0, &state(id, 3), Way::Merged, 300, &mut counts);
        }
        assert!(!tracker.all_seen(), "the second socket has to see the second order");
        assert!(!tracker.release(8, &mut counts) && tracker.release(7, &mut counts));
        tracker.see(0, 1, &state(8, 3), Way::Merged, 300, &mut counts);
        assert!(tracker.all_seen());
        let done = tracker.finish(&mut counts);
        assert_eq!((done.settled, done.unsettled, counts.unchecked), (vec![(8, 3)], vec![], 1));
    }

    #[test]
    fn a_socket_that_came_late_is_left_out_and_so_is_an_order_of_somebody_else() {
        let (mut tracker, mut counts) = (Tracker::new([2], 1), Counts::default());
        tracker.leave_out(0, 1);
        tracker.see(0, 0, &state(8, 1), Way::Step, 1, &mut counts);
        tracker.accept(7, 0, 0, &mut counts);
        for slot in [0, 2] {
            tracker.see(0, slot, &state(7, 3), Way::Merged, 1, &mut counts);
        }
        assert!(tracker.all_seen());
        let done = tracker.finish(&mut counts);
        assert_eq!((done.settled, done.unsettled, counts.unchecked), (vec![(7, 3)], vec![], 1));
    }
}
