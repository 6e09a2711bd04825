//! The newest state of every order that changed lately, by position in the order of the changes,
//! and the cursors of positions.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use galley_protocol::{
    Deleted, HeroId, Order, OrderId, ResumeCursor, Status, Update, Version, Watch,
};
use galley_store::Deletion;

use super::marks::Marks;

/// Maximum number of orders. Beyond it the order that changed longest ago is dropped, and a watcher
/// that was not sent it reads it from the database.
const MAX_ORDERS: usize = 40_000;
/// Maximum size of their JSON in bytes. Beyond it the same happens.
const MAX_BYTES: usize = 16 << 20;

#[derive(Debug, Default)]
pub struct Newest {
    changes: BTreeMap<u64, FeedChange>,
    places: HashMap<OrderId, u64>,
    bytes: usize,
    next: u64,
    /// Position after the last change that was lost or dropped.
    lost: u64,
    marks: Marks,
}

#[derive(Clone, Debug)]
pub struct FeedChange {
    hero_id: HeroId,
    order_id: OrderId,
    version: Version,
    /// `None` if the order was deleted.
    status: Option<Status>,
    /// JSON of the order; empty if it was deleted. A copy, because an update shares the memory of a
    /// whole message of many updates.
    json: Bytes,
}

#[derive(Debug, Default)]
pub struct FeedBatch {
    pub orders: Vec<Bytes>,
    pub deleted: Vec<Deleted>,
    /// Position after the last change that was looked at.
    pub to: u64,
}

impl Newest {
    pub fn end(&self) -> u64 {
        self.next
    }

    /// The position after the last change that is not here any more. A watcher before it was not
    /// sent everything.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    pub fn lose(&mut self) {
        self.next += 1;
        // A loss takes a position of its own: a watcher at the end has missed it, too.
        self.lost = self.next;
    }

    pub fn mark(&mut self, cursor: ResumeCursor) {
        self.marks.add(self.next, cursor);
    }

    /// Returns a cursor to resume after everything before this position; `None` if none is known.
    pub fn cursor_at(&self, place: u64) -> Option<ResumeCursor> {
        self.marks.at(place)
    }

    /// Returns true unless the changes from this position on hold this state, or a newer one.
    pub fn is_news(&self, change: &FeedChange, from: u64) -> bool {
        let place = self.places.get(&change.order_id).filter(|place| **place >= from);
        place
            .and_then(|place| self.changes.get(place))
            .is_none_or(|known| known.version < change.version)
    }

    /// Returns true if an older state of the order is here.
    pub fn knows_older(&self, change: &FeedChange) -> bool {
        let known = self.places.get(&change.order_id).and_then(|place| self.changes.get(place));
        known.is_some_and(|known| known.version < change.version)
    }

    /// Notes a change. Returns false if this state or a newer one is known already.
    pub fn note(&mut self, change: FeedChange) -> bool {
        if let Some(place) = self.places.get(&change.order_id) {
            let known = self.changes.get(place).map(|known| known.version);
            if known.is_some_and(|known| known >= change.version) {
                return false;
            }
            self.forget(*place);
        }
        self.bytes += change.json.len();
        self.places.insert(change.order_id, self.next);
        self.changes.insert(self.next, change);
        self.next += 1;
        while self.changes.len() > MAX_ORDERS || self.bytes > MAX_BYTES {
            let oldest = *self.changes.keys().next().expect("what is beyond a bound is not empty");
            self.forget(oldest);
            self.lost = oldest + 1;
        }
        true
    }

    /// The changes from this position on that match the filter, until they have `max_bytes`.
    pub fn since(&self, place: u64, watch: &Watch, max_bytes: usize) -> FeedBatch {
        let mut changed = FeedBatch { to: self.next, ..FeedBatch::default() };
        let mut bytes = 0;
        for (place, change) in
            self.changes.range(place..).filter(|(_, change)| change.is_for(watch))
        {
            if bytes >= max_bytes {
                changed.to = *place;
                break;
            }
            changed.add(change);
            // A deletion has no JSON here, but takes room in the frame.
            bytes += change.json.len().max(size_of::<Deleted>());
        }
        changed
    }

    /// Drops all changes. Positions and their cursors stay valid.
    pub fn clear(&mut self) {
        *self = Self {
            next: self.next,
            lost: self.next,
            marks: std::mem::take(&mut self.marks),
            ..Self::default()
        };
    }

    fn forget(&mut self, place: u64) {
        if let Some(change) = self.changes.remove(&place) {
            self.places.remove(&change.order_id);
            self.bytes -= change.json.len();
        }
    }
}

impl FeedBatch {
    /// Collects changes that have no position here.
    pub fn of(changes: impl Iterator<Item = FeedChange>) -> Self {
        changes.fold(Self::default(), |mut all, change| {
            all.add(&change);
            all
        })
    }

    fn add(&mut self, change: &FeedChange) {
        if change.status.is_some() {
            self.orders.push(change.json.clone());
        } else {
            self.deleted.push(Deleted { order_id: change.order_id, version: change.version });
        }
    }
}

impl FeedChange {
    /// `None` if the order cannot be read.
    pub fn of_update(update: &Update) -> Option<Self> {
        let Update { hero_id, order_id, version, status, .. } = *update;
        let json = if status.is_some() {
            Bytes::copy_from_slice(update.order_json()?)
        } else {
            Bytes::new()
        };
        Some(Self { hero_id, order_id, version, status, json })
    }

    pub fn version(&self) -> (OrderId, Version) {
        (self.order_id, self.version)
    }

    pub fn of_order(order: &Order) -> Self {
        let json = serde_json::to_vec(order)
            .expect("an order has string keys only and no number that JSON lacks");
        let Order { hero_id, id, version, status, .. } = *order;
        Self { hero_id, order_id: id, version, status: Some(status), json: json.into() }
    }

    pub fn of_deletion(deletion: Deletion) -> Self {
        let Deletion { hero_id, deleted: Deleted { order_id, version } } = deletion;
        Self { hero_id, order_id, version, status: None, json: Bytes::new() }
    }

    /// Returns true if the change matches the filter. The status of the order, or one that it had
    /// before, must be among those watched: a watcher also sees an order leave its filter.
    pub fn is_for(&self, watch: &Watch) -> bool {
        let hero = watch.hero_id.is_none_or(|hero_id| hero_id == self.hero_id);
        let was = |status: &Status| match (status, self.status) {
            (_, None) | (Status::Pending, _) => true,
            (Status::InProgress, Some(now)) => {
                // Version 1 is PENDING, version 2 is `IN_PROGRESS` or a cancellation before that.
                now == Status::InProgress || (!now.is_active() && self.version.0 > 2)
            }
            (Status::Completed | Status::Cancelled, Some(now)) => now == *status,
        };
        hero && (watch.status.is_empty() || watch.status.iter().any(was))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use galley_protocol::{HeroId, OrderId, Status, Version, Watch};

    use super::{FeedBatch, FeedChange, MAX_BYTES, MAX_ORDERS, Newest};

    fn change(id: usize, version: i32, status: Option<Status>) -> FeedChange {
        let order_id = OrderId::new(i64::try_from(id).expect("small")).expect("an id");
        let json = status.map_or(Bytes::new(), |status| format!("{id} {status}").into());
        FeedChange {
            hero_id: HeroId::new(1).expect("an id"),
            order_id,
            version: Version(version),
            status,
            json,
        }
    }

    fn texts(changed: &FeedBatch) -> Vec<&str> {
        changed.orders.iter().map(|order| std::str::from_utf8(order).expect("text")).collect()
    }

    #[test]
    fn of_an_order_only_the_newest_state_is_told() {
        let mut newest = Newest::default();
        newest.note(change(1, 1, Some(Status::Pending)));
        newest.note(change(2, 1, Some(Status::Pending)));
        newest.note(change(1, 3, Some(Status::Completed)));
        newest.note(change(1, 2, Some(Status::InProgress)));
        let changed = newest.since(0, &Watch::all(None), 1_000);
        assert_eq!(texts(&changed), ["2 PENDING", "1 COMPLETED"]);
        newest.note(change(2, 2, None));
        let later = newest.since(changed.to, &Watch::all(None), 1_000);
        assert_eq!((texts(&later), later.deleted.len(), later.to), (vec![], 1, newest.end()));
    }

    #[test]
    fn what_does_not_fit_comes_next() {
        let mut newest = Newest::default();
        for id in 1..=3 {
            newest.note(change(id, 1, Some(Status::Pending)));
        }
        let first = newest.since(0, &Watch::all(None), 20);
        let second = newest.since(first.to, &Watch::all(None), 20);
        assert_eq!(
            (texts(&first), texts(&second)),
            (vec!["1 PENDING", "2 PENDING"], vec!["3 PENDING"])
        );
        assert!(texts(&newest.since(second.to, &Watch::all(None), 20)).is_empty());
    }

    #[test]
    fn a_watcher_sees_an_order_come_and_leave() {
        let watch = Watch { status: vec![Status::InProgress], ..Watch::all(None) };
        let shown = |version, status| change(1, version, status).is_for(&watch);
        assert!(!shown(1, Some(Status::Pending)));
        assert!(shown(2, Some(Status::InProgress)));
        assert!(shown(3, Some(Status::Completed)));
        assert!(!shown(2, Some(Status::Cancelled)), "it was never in progress");
        assert!(shown(4, None));
        let of_another = Watch { hero_id: HeroId::new(2).ok(), ..Watch::all(None) };
        assert!(!change(1, 1, Some(Status::Pending)).is_for(&of_another));
    }

    #[test]
    fn an_order_is_news_to_whoever_will_not_come_upon_it() {
        let mut newest = Newest::default();
        newest.note(change(1, 2, Some(Status::InProgress)));
        let is_news =
            |version, from| newest.is_news(&change(1, version, Some(Status::InProgress)), from);
        assert!(!is_news(1, 0) && !is_news(2, 0) && is_news(3, 0));
        assert!(is_news(2, newest.end()), "it changed before the watcher began");
        assert!(newest.is_news(&change(2, 1, None), 0));
    }

    #[test]
    fn after_a_loss_nobody_was_told_everything() {
        let mut newest = Newest::default();
        newest.note(change(1, 1, Some(Status::Pending)));
        let place = newest.end();
        newest.lose();
        assert!(place < newest.lost() && newest.lost() == newest.end());
    }

    #[test]
    fn at_the_bounds_the_oldest_is_left_out() {
        let mut newest = Newest::default();
        for id in 1..=MAX_ORDERS + 1 {
            newest.note(change(id, 1, Some(Status::Pending)));
        }
        assert_eq!(
            (newest.changes.len(), newest.places.len(), newest.lost()),
            (MAX_ORDERS, MAX_ORDERS, 1)
        );
        assert_eq!(texts(&newest.since(0, &Watch::all(None), 1)), ["2 PENDING"]);
        newest.note(FeedChange {
            json: vec![b'0'; MAX_BYTES].into(),
            ..change(1, 1, Some(Status::Pending))
        });
        assert_eq!(
            (newest.changes.len(), newest.bytes, newest.lost()),
            (1, MAX_BYTES, newest.end() - 1)
        );
        newest.clear();
        assert_eq!(newest.lost(), newest.end());
    }
}
