//! The newest version of each order that was delivered lately. No client is sent an older state
//! after a newer one.
//!
//! Each process publishes its own commits, so a cancellation may arrive before the claim that
//! preceded it. The hub calls [`Versions::judge`] before each delivery. A welcome, a page or a
//! reply sends a state to one session outside of the deliveries. The other sockets of the hero were
//! not sent that state, so older ones are still delivered to them; [`Overtaken`] drops these for
//! the one session. The staff feed sends only the newest state of an order: no watcher is sent
//! anything older than what any of them was shown.
//!
//! The memory is bounded in number and in age. An order that is not in it may have been delivered
//! and forgotten. If an update of such an order is older than the memory, its state is read from
//! the database instead. Only orders of heroes with sockets here are remembered, or all orders
//! while staff watches.

mod overtaken;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use galley_protocol::{Deleted, Order, OrderId, Timestamp, Update, Version};
use tokio::time::Instant;

pub use overtaken::Overtaken;

/// Maximum number of orders in each of the two generations. Beyond it the older generation is
/// dropped.
const MAX_ORDERS: usize = 65_536;
/// Longest time for which a generation is filled.
const MAX_AGE: Duration = Duration::from_mins(1);

/// The version before the first.
const NOTHING: Version = Version(0);

/// Tolerance for changes that are newer than the last known time of the database's clock, in
/// milliseconds.
const MAX_AHEAD: i64 = 5_000;

#[derive(Clone, Debug, Default)]
pub struct Versions(Arc<VersionsState>);

#[derive(Debug, Default)]
struct VersionsState {
    memory: Mutex<VersionMemory>,
    /// The newest time of a change that was received, of any hero, in milliseconds.
    latest: AtomicI64,
}

#[derive(Debug, Default)]
struct VersionMemory {
    young: HashMap<OrderId, Delivered>,
    old: HashMap<OrderId, Delivered>,
    began: Option<Instant>,
    /// `latest` at the beginning of the young generation, and of the old one.
    young_from: i64,
    old_from: i64,
    /// The last step of the clock backwards, until it has caught up: earlier times mean nothing.
    set_back: Option<SetBack>,
    /// Numbers of the deliveries that have not reached all outboxes yet.
    in_flight: BTreeSet<u64>,
    next_flight: u64,
}

/// A step of the database's clock backwards, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct SetBack {
    to: i64,
    from: i64,
}

/// The newest versions of an order that were sent.
#[derive(Clone, Copy, Debug)]
struct Delivered {
    /// To every socket that it concerns; [`NOTHING`] if there was none.
    delivered: Version,
    /// In a page or a reply to staff.
    shown: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionSeen {
    pub version: Version,
    /// When the order reached it; `None` if the order was deleted.
    pub time: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A message, which may be late by any time.
    Bus,
    /// The database, just now.
    Database,
}

/// An update for which there is a receiver here.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub update: &'a Update,
    /// The time since which every change of this order was received here.
    pub since: Timestamp,
}

/// The verdict on the updates of one delivery.
#[derive(Debug)]
pub struct Judged<'a> {
    pub deliver: Vec<&'a Update>,
    /// The updates among them that staff must not receive, because it was shown something newer.
    pub stale: Vec<&'a Update>,
    /// The updates that may be outdated: the states of their orders are to be read.
    pub read: Vec<&'a Update>,
    /// Must be kept until the last of them is in its outboxes.
    pub flight: Arc<Flight>,
}

/// A delivery in progress. It ends when this is dropped.
#[derive(Debug)]
pub struct Flight {
    shared: Arc<VersionsState>,
    number: u64,
}

impl VersionSeen {
    pub fn of(order: &Order) -> (OrderId, Self) {
        (order.id, Self { version: order.version, time: Some(order.changed_time()) })
    }

    pub fn of_deleted(deleted: &Deleted) -> (OrderId, Self) {
        (deleted.order_id, Self { version: deleted.version, time: None })
    }
}

impl Versions {
    pub fn latest(&self) -> Timestamp {
        Timestamp::from_millis(self.0.latest.load(Ordering::Acquire)).expect("it was one")
    }

    /// Records the times of these updates. Must be called before their receivers are looked up: a
    /// session that joins later then starts with a later [`Versions::latest`].
    pub fn note_received(&self, updates: &[Update]) {
        if let Some(latest) = updates.iter().map(|update| update.time.millis()).max() {
            self.0.latest.fetch_max(latest, Ordering::AcqRel);
        }
    }

    /// Records the time of the database's clock, now or a moment ago. If the clock went back, the
    /// recorded times go back as well: otherwise no change would be new enough until the clock has
    /// caught up.
    pub fn set_clock(&self, now: Timestamp) {
        let now = now.millis();
        let before = self.0.latest.fetch_max(now, Ordering::AcqRel);
        // Within the tolerance it is not a step back.
        if before > now + MAX_AHEAD {
            self.0.latest.store(now, Ordering::Release);
            let mut memory = self.0.lock();
            memory.young_from = memory.young_from.min(now);
            memory.old_from = memory.old_from.min(now);
            memory.set_back = Some(SetBack { to: now, from: before });
        }
    }

    /// Decides which updates are delivered, and remembers those.
    pub fn judge<'a>(&self, wanted: &[Wanted<'a>], source: Source) -> Judged<'a> {
        let mut memory = self.0.lock();
        let flight = memory.begin_flight(&self.0);
        let mut judged = Judged {
            deliver: Vec::with_capacity(wanted.len()),
            stale: Vec::new(),
            read: Vec::new(),
            flight,
        };
        memory.age(&self.0);
        let latest = self.0.latest.load(Ordering::Acquire);
        // The clock has caught up.
        memory.set_back.take_if(|back| back.from <= latest);
        for Wanted { update, since } in wanted {
            let Delivered { delivered, shown } = memory.get(update.order_id);
            if update.version <= delivered {
                continue;
            }
            // A newer version may have been delivered and forgotten.
            if delivered == NOTHING
                && source == Source::Bus
                && memory.may_have_known(update.time.millis(), *since)
            {
                judged.read.push(update);
                continue;
            }
            memory.remember(
                update.order_id,
                Delivered { delivered: update.version, shown },
                &self.0,
            );
            judged.deliver.push(update);
            if update.version < shown {
                judged.stale.push(update);
            }
        }
        judged
    }

    /// Remembers states that are shown to staff outside of the deliveries. Returns true if an older
    /// state may be on its way in a delivery that was judged before.
    pub fn show(&self, states: impl Iterator<Item = (OrderId, Version)>) -> bool {
        let mut memory = self.0.lock();
        for (order_id, version) in states {
            let known = memory.get(order_id);
            if version > known.delivered.max(known.shown) {
                memory.remember(order_id, Delivered { shown: version, ..known }, &self.0);
            }
        }
        !memory.in_flight.is_empty()
    }
}

impl VersionsState {
    fn lock(&self) -> MutexGuard<'_, VersionMemory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VersionMemory {
    fn get(&self, order_id: OrderId) -> Delivered {
        let known = self.young.get(&order_id).or_else(|| self.old.get(&order_id));
        known.copied().unwrap_or(Delivered { delivered: NOTHING, shown: NOTHING })
    }

    /// Returns true for a change at this time, in milliseconds, if it is so old that a newer change
    /// of its order may have been delivered and forgotten.
    fn may_have_known(&self, millis: i64, since: Timestamp) -> bool {
        let since = self.set_back.map_or(since.millis(), |back| since.millis().min(back.to));
        millis < since.max(self.old_from)
    }

    fn remember(&mut self, order_id: OrderId, known: Delivered, shared: &VersionsState) {
        self.young.insert(order_id, known);
        if self.young.len() >= MAX_ORDERS {
            self.turn(shared);
        }
    }

    /// Ends the young generation if it is old enough.
    fn age(&mut self, shared: &VersionsState) {
        if self.began.get_or_insert_with(Instant::now).elapsed() >= MAX_AGE {
            self.turn(shared);
        }
    }

    fn turn(&mut self, shared: &VersionsState) {
        self.old = std::mem::take(&mut self.young);
        self.old_from = self.young_from;
        self.young_from = shared.latest.load(Ordering::Acquire);
        self.began = Some(Instant::now());
    }

    fn begin_flight(&mut self, shared: &Arc<VersionsState>) -> Arc<Flight> {
        let number = self.next_flight;
        self.next_flight += 1;
        self.in_flight.insert(number);
        Arc::new(Flight { shared: Arc::clone(shared), number })
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.shared.lock().in_flight.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use galley_protocol::{Deleted, HeroId, OrderId, Timestamp, Update, Version};

    use super::{Judged, MAX_AGE, MAX_ORDERS, Source, Versions, Wanted};

    fn time(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).expect("in range")
    }

    fn id(id: i64) -> OrderId {
        OrderId::new(id).expect("an id")
    }

    fn update(order: i64, version: i32, millis: i64) -> Update {
        let deleted = Deleted { order_id: id(order), version: Version(version) };
        Update::of_deleted(deleted, HeroId::FIRST, time(millis))
    }

    /// Returns the versions to deliver and to read, for a receiver that is here since this time.
    fn judge_since(
        versions: &Versions,
        since: i64,
        updates: &[Update],
        source: Source,
    ) -> (Vec<i32>, Vec<i32>) {
        versions.note_received(updates);
        let wanted: Vec<_> =
            updates.iter().map(|update| Wanted { update, since: time(since) }).collect();
        let Judged { deliver, read, .. } = versions.judge(&wanted, source);
        let versions =
            |updates: Vec<&Update>| updates.iter().map(|update| update.version.0).collect();
        (versions(deliver), versions(read))
    }

    fn judge(versions: &Versions, updates: &[Update]) -> (Vec<i32>, Vec<i32>) {
        judge_since(versions, 0, updates, Source::Bus)
    }

    #[tokio::test]
    async fn an_older_version_is_not_told_after_a_newer_one_nor_the_same_twice() {
        let versions = Versions::default();
        let judged =
            judge(&versions, &[update(1, 1, 5), update(1, 3, 7), update(1, 2, 6), update(2, 2, 6)]);
        assert_eq!(judged, (vec![1, 3, 2], vec![]));
        assert_eq!(
            judge(&versions, &[update(1, 3, 7), update(1, 2, 6), update(2, 3, 8)]),
            (vec![3], vec![])
        );
    }

    #[tokio::test]
    async fn staff_is_told_nothing_older_than_what_one_of_them_was_shown() {
        let versions = Versions::default();
        assert!(!versions.show([(id(1), Version(3))].into_iter()), "nothing is under way");
        let updates = [update(1, 2, 6), update(1, 3, 7), update(1, 3, 7)];
        let wanted = updates.each_ref().map(|update| Wanted { update, since: time(0) });
        let Judged { deliver, stale, flight, .. } = versions.judge(&wanted, Source::Bus);
        assert_eq!((deliver, stale), (vec![&updates[0], &updates[1]], vec![&updates[0]]));
        assert!(versions.show([(id(1), Version(2))].into_iter()));
        drop(flight);
        assert!(!versions.show([(id(1), Version(2))].into_iter()));
        assert_eq!(judge(&versions, &[update(1, 3, 7)]), (vec![], vec![]));
    }

    #[tokio::test]
    async fn what_staff_was_shown_says_nothing_of_what_the_hero_was_told() {
        let versions = Versions::default();
        versions.show([(id(1), Version(3))].into_iter());
        let late = judge_since(&versions, 100, &[update(1, 1, 99)], Source::Bus);
        assert_eq!(late, (vec![], vec![1]), "it is read, as that of an unknown order");
    }

    #[tokio::test]
    async fn an_unknown_order_that_changed_before_anybody_was_here_is_read() {
        let versions = Versions::default();
        let updates = [update(1, 2, 99), update(2, 2, 100)];
        assert_eq!(judge_since(&versions, 100, &updates, Source::Bus), (vec![2], vec![2]));
        assert_eq!(versions.latest(), time(100));
        assert_eq!(
            judge_since(&versions, 100, &updates, Source::Database),
            (vec![2], vec![]),
            "the database knows the newest"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_older_than_the_memory_is_read() {
        let versions = Versions::default();
        judge(&versions, &[update(1, 3, 100)]);
        tokio::time::advance(MAX_AGE).await;
        judge(&versions, &[update(2, 3, 200)]);
        assert_eq!(
            judge(&versions, &[update(1, 2, 99)]),
            (vec![], vec![]),
            "the generation before is remembered"
        );
        tokio::time::advance(MAX_AGE).await;
        assert_eq!(
            judge(&versions, &[update(1, 2, 99), update(3, 2, 201), update(2, 2, 150)]),
            (vec![2], vec![2])
        );
    }

    #[tokio::test]
    async fn a_clock_that_goes_back_makes_nothing_old() {
        let versions = Versions::default();
        judge(&versions, &[update(1, 1, 90_000)]);
        versions.set_clock(time(60_000));
        assert_eq!(versions.latest(), time(60_000));
        let of_before =
            |millis| judge_since(&versions, 90_000, &[update(millis, 2, millis)], Source::Bus);
        assert_eq!((of_before(60_001), of_before(59_999)), ((vec![2], vec![]), (vec![], vec![2])));
        judge(&versions, &[update(2, 1, 95_000)]);
        assert_eq!(of_before(89_999), (vec![], vec![2]), "it has come so far again");
    }

    #[tokio::test]
    async fn the_memory_is_bounded() {
        let versions = Versions::default();
        for order in 1..=i64::try_from(3 * MAX_ORDERS).expect("few") {
            judge(&versions, &[update(order, 2, order)]);
        }
        let memory = versions.0.lock();
        assert!(memory.young.len() + memory.old.len() <= 2 * MAX_ORDERS);
    }
}
