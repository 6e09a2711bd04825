//! The state of a client's orders, as far as the client knows it. Frames may be lost, duplicated,
//! late or merged: of each order the state with the highest version is kept, so that the picture
//! equals the database once the newest frames have arrived.

use std::collections::BTreeMap;

use crate::frame::Received;
use crate::{Deleted, Order, OrderId, Version};

/// The orders that a client knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The active orders. The service bounds their number.
    active: BTreeMap<OrderId, Order>,
    ended: BTreeMap<OrderId, Ended>,
    /// The bound of `ended`. Beyond it the order with the smallest id is forgotten; if it is
    /// received again, it counts as new.
    max_ended: usize,
    cursor: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Ended {
    Order(Order),
    /// Kept so that a late state does not restore the order.
    Deleted(Version),
}

/// The number of states in a frame, by their effect on a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PictureChanges {
    /// States of unknown orders.
    pub new: usize,
    /// States one version newer than the known one.
    pub next: usize,
    /// States more than one version newer.
    pub skipped: usize,
    /// States that were known already.
    pub duplicate: usize,
    /// States older than the known one.
    pub older: usize,
    /// States of the known version with other content, never sent; the first one is kept.
    pub contradicting: usize,
}

impl Picture {
    /// Creates an empty picture, which remembers at most `max_ended` orders that have ended.
    #[must_use]
    pub const fn new(max_ended: usize) -> Self {
        Self { active: BTreeMap::new(), ended: BTreeMap::new(), max_ended, cursor: None }
    }

    /// Applies a frame.
    pub fn apply(&mut self, frame: &Received) -> PictureChanges {
        let mut changes = PictureChanges::default();
        for order in frame.orders() {
            *changes.count(self.judge(order.id, order.version, Some(order))) += 1;
        }
        for Deleted { order_id, version } in frame.deleted() {
            *changes.count(self.judge(*order_id, *version, None)) += 1;
        }
        if let Some(cursor) = frame.cursor() {
            self.cursor = Some(cursor.to_owned());
        }
        changes
    }

    /// Forgets the oldest active orders beyond `most`. If one is received again, it counts as new.
    pub fn forget_active(&mut self, most: usize) {
        while self.active.len() > most {
            self.active.pop_first();
        }
    }

    /// Returns the newest state of an order; `None` if it is unknown or deleted.
    #[must_use]
    pub fn order(&self, id: OrderId) -> Option<&Order> {
        self.active.get(&id).or_else(|| self.ended.get(&id).and_then(Ended::order))
    }

    /// Returns the newest states without deleted orders: active, then ended, each by rising id.
    pub fn orders(&self) -> impl Iterator<Item = &Order> {
        self.active.values().chain(self.ended.values().filter_map(Ended::order))
    }

    /// Returns true if an order is known to be deleted.
    #[must_use]
    pub fn is_deleted(&self, id: OrderId) -> bool {
        matches!(self.ended.get(&id), Some(Ended::Deleted(_)))
    }

    /// Returns the last cursor, with which to resume.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    fn judge(&mut self, id: OrderId, version: Version, order: Option<&Order>) -> ChangeKind {
        let known = self.active.get(&id).map(|order| (order.version, Some(order)));
        let known =
            known.or_else(|| self.ended.get(&id).map(|ended| (ended.version(), ended.order())));
        let kind = match known {
            None => ChangeKind::New,
            Some((known, _)) if version == known.next() => ChangeKind::Next,
            Some((known, _)) if version > known => ChangeKind::Skipped,
            Some((known, _)) if version < known => ChangeKind::Older,
            Some((_, known)) if known == order => ChangeKind::Duplicate,
            Some(_) => ChangeKind::Contradicting,
        };
        if matches!(kind, ChangeKind::New | ChangeKind::Next | ChangeKind::Skipped) {
            self.keep(id, version, order);
        }
        kind
    }

    fn keep(&mut self, id: OrderId, version: Version, order: Option<&Order>) {
        match order {
            Some(order) if order.status.is_active() => drop(self.active.insert(id, order.clone())),
            // An ended order, or a deletion.
            ended => {
                self.active.remove(&id);
                self.ended.insert(
                    id,
                    ended.map_or(Ended::Deleted(version), |order| Ended::Order(order.clone())),
                );
                if self.ended.len() > self.max_ended {
                    self.ended.pop_first();
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
enum ChangeKind {
    New,
    Next,
    Skipped,
    Duplicate,
    Older,
    Contradicting,
}

impl PictureChanges {
    /// Returns true if the frame changed the picture.
    #[must_use]
    pub const fn any(&self) -> bool {
        self.new + self.next + self.skipped > 0
    }

    const fn count(&mut self, kind: ChangeKind) -> &mut usize {
        match kind {
            ChangeKind::New => &mut self.new,
            ChangeKind::Next => &mut self.next,
            ChangeKind::Skipped => &mut self.skipped,
            ChangeKind::Duplicate => &mut self.duplicate,
            ChangeKind::Older => &mut self.older,
            ChangeKind::Contradicting => &mut self.contradicting,
        }
    }
}

impl Ended {
    const fn version(&self) -> Version {
        match self {
            Self::Order(order) => order.version,
            Self::Deleted(version) => *version,
        }
    }

    const fn order(&self) -> Option<&Order> {
        match self {
            Self::Order(order) => Some(order),
            Self::Deleted(_) => None,
        }
    }
}
