//! Filters of older states, for sessions that have sent newer ones outside of the deliveries.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use galley_protocol::{OrderId, Timestamp, Update, Version};

use super::{MAX_AHEAD, NOTHING, VersionMemory, VersionSeen, Versions, VersionsState};

/// The states that one session has sent outside of the deliveries, while older states of their
/// orders may still be delivered.
///
/// An order is kept until the version that was sent, or a newer one, has been delivered to all
/// sockets, and every earlier delivery has reached its outboxes. An order whose change is older
/// than the memory is dropped at once, because late updates of it are read from the database.
#[derive(Debug)]
pub struct Overtaken {
    shared: Arc<VersionsState>,
    /// The time since which every change of these orders was received here.
    since: Timestamp,
    orders: HashMap<OrderId, ShownVersion>,
    /// Number of calls of [`Overtaken::settle`] since the orders were last checked.
    asked: usize,
}

/// The limit for an order: only newer versions may still be sent.
#[derive(Clone, Copy, Debug)]
struct ShownVersion {
    version: Version,
    /// Latest time at which the order can have reached it, in milliseconds.
    millis: i64,
    /// Number of the first delivery that cannot bring anything older; `None` while unknown.
    until: Option<u64>,
}

impl Versions {
    /// Returns the filter of a session that sends these states outside of the deliveries; `None` if
    /// no older state can arrive. `since` is the time since which every change of these orders was
    /// received here.
    pub fn overtaken(
        &self,
        sent: &HashMap<OrderId, VersionSeen>,
        since: Timestamp,
    ) -> Option<Overtaken> {
        let memory = self.0.lock();
        let latest = self.0.latest.load(Ordering::Acquire) + MAX_AHEAD;
        // The time of a deletion is unknown: it is taken as the latest possible.
        let millis = |state: &VersionSeen| state.time.map_or(latest, Timestamp::millis);
        let floor = |state: &VersionSeen| ShownVersion {
            version: state.version,
            millis: millis(state),
            until: None,
        };
        let orders = sent.iter().map(|(order_id, state)| (*order_id, floor(state)));
        let mut overtaken =
            Overtaken { shared: Arc::clone(&self.0), since, orders: orders.collect(), asked: 0 };
        overtaken.look_through(&memory);
        drop(memory);
        (!overtaken.orders.is_empty()).then_some(overtaken)
    }
}

impl Overtaken {
    /// Returns true unless the session has sent this version or a newer one.
    pub fn is_news(&self, update: &Update) -> bool {
        self.orders.get(&update.order_id).is_none_or(|floor| update.version > floor.version)
    }

    /// Drops the orders of which nothing older can arrive any more. Must be called before each
    /// delivery. The orders are checked once in as many calls as there are orders. Returns true if
    /// none is left.
    pub fn settle(&mut self) -> bool {
        self.asked += 1;
        if self.asked >= self.orders.len() {
            self.asked = 0;
            let shared = Arc::clone(&self.shared);
            self.look_through(&shared.lock());
        }
        self.orders.is_empty()
    }

    /// Adds states that the same session sent later.
    pub fn add(&mut self, later: Self) {
        for (order_id, floor) in later.orders {
            let known = self.orders.entry(order_id).or_insert(floor);
            if known.version <= floor.version {
                *known = floor;
            }
        }
    }

    fn look_through(&mut self, memory: &VersionMemory) {
        let since = self.since;
        self.orders.retain(|order_id, floor| {
            if floor.until.is_none() && !memory.expects(*order_id, floor, since) {
                // Later deliveries bring nothing older, but earlier ones may not have ended yet.
                floor.until = Some(memory.next_flight);
            }
            floor
                .until
                .is_none_or(|until| memory.in_flight.first().is_some_and(|first| *first < until))
        });
    }
}

impl VersionMemory {
    /// Returns true if an older state of the order may still be delivered.
    fn expects(&self, order_id: OrderId, floor: &ShownVersion, since: Timestamp) -> bool {
        match self.get(order_id).delivered {
            // A late update of an unknown, old order is read from the database instead.
            NOTHING => !self.may_have_known(floor.millis, since),
            delivered => delivered < floor.version,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use galley_protocol::{Deleted, HeroId, OrderId, Timestamp, Update, Version};

    use super::super::{Judged, Source, Wanted};
    use super::{Overtaken, VersionSeen, Versions};

    fn time(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).expect("in range")
    }

    fn update(version: i32, millis: i64) -> Update {
        Update::of_deleted(
            Deleted { order_id: OrderId::FIRST, version: Version(version) },
            HeroId::FIRST,
            time(millis),
        )
    }

    fn judge<'a>(versions: &Versions, update: &'a Update) -> Judged<'a> {
        versions.note_received(std::slice::from_ref(update));
        versions.judge(&[Wanted { update, since: time(100) }], Source::Bus)
    }

    /// Returns the filter of a session that has sent this version of an order. The order reached it
    /// at this time.
    fn overtaken(versions: &Versions, version: i32, millis: i64) -> Option<Overtaken> {
        let state = VersionSeen { version: Version(version), time: Some(time(millis)) };
        versions.overtaken(&HashMap::from([(OrderId::FIRST, state)]), time(100))
    }

    #[test]
    fn older_states_are_kept_from_who_told_more_and_from_nobody_else() {
        let versions = Versions::default();
        let mut filter = overtaken(&versions, 2, 150).expect("both versions are still to come");
        let [first, second, third] = [update(1, 149), update(2, 150), update(3, 151)];
        for update in [&first, &second, &third] {
            let Judged { deliver, stale, .. } = judge(&versions, update);
            assert_eq!(
                (deliver, stale),
                (vec![update], vec![]),
                "the others were sent nothing yet"
            );
        }
        assert!(!filter.is_news(&first) && !filter.is_news(&second) && filter.is_news(&third));
        assert!(filter.settle(), "nothing older can come");
        assert!(overtaken(&versions, 3, 151).is_none());
    }

    #[test]
    fn what_was_judged_before_is_waited_for() {
        let versions = Versions::default();
        let [first, second] = [update(1, 149), update(2, 150)];
        let [older, newer] = [judge(&versions, &first).flight, judge(&versions, &second).flight];
        let mut filter = overtaken(&versions, 2, 150).expect("both are under way");
        drop(newer);
        assert!(!filter.settle() && !filter.is_news(&first));
        drop(older);
        assert!(filter.settle());
    }

    #[test]
    fn what_is_late_of_a_change_of_before_is_read_and_not_kept_back() {
        let versions = Versions::default();
        assert!(overtaken(&versions, 2, 99).is_none());
        assert_eq!(judge(&versions, &update(1, 98)).read.len(), 1);
    }

    #[test]
    fn the_newest_of_several_counts() {
        let versions = Versions::default();
        let mut filter = overtaken(&versions, 3, 150).expect("still to come");
        filter.add(overtaken(&versions, 2, 149).expect("still to come"));
        assert!(!filter.is_news(&update(3, 150)));
        filter.add(overtaken(&versions, 4, 151).expect("still to come"));
        assert!(!filter.is_news(&update(4, 151)) && filter.is_news(&update(5, 152)));
    }
}
