//! A client's picture of its orders.
//!
//! Whatever is lost, doubled, late or merged on the way: of each order the state with the highest
//! version is kept, and so the picture is the database's state once the newest frames have come.

use std::collections::BTreeMap;

use crate::frame::Received;
use crate::{Deleted, Order, OrderId, Version};

/// What a client knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// As many as the service lets be active at once.
    active: BTreeMap<OrderId, Order>,
    ended: BTreeMap<OrderId, Ended>,
    /// At the bound of `ended` the smallest id is forgotten; should it be told again, it counts as
    /// new.
    max_ended: usize,
    cursor: Option<String>,
}

/// An order that changes no more, or only by being deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ended {
    Order(Order),
    /// Remembered, so that a late state does not bring the order back.
    Deleted(Version),
}

/// What a frame did to a picture: how many of the states that it told were of which kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Of an order not known before.
    pub new: usize,
    /// One version on.
    pub next: usize,
    /// More than one version on.
    pub skipped: usize,
    /// Known already.
    pub duplicate: usize,
    /// Older than what is known.
    pub older: usize,
    /// Of a known version, but not the known state: the service broke its promise. What was known
    /// first is kept.
    pub contradicting: usize,
}

impl Picture {
    /// Nothing is known; at most `max_ended` orders that have ended are remembered.
    #[must_use]
    pub const fn new(max_ended: usize) -> Self {
        Self { active: BTreeMap::new(), ended: BTreeMap::new(), max_ended, cursor: None }
    }

    /// Takes in what a frame tells.
    pub fn apply(&mut self, frame: &Received) -> Changes {
        let mut changes = Changes::default();
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

    /// Forgets the oldest active orders beyond `most`; should one be told again, it counts as new.
    pub fn forget_active(&mut self, most: usize) {
        while self.active.len() > most {
            self.active.pop_first();
        }
    }

    /// The newest state of an order; nothing when it is unknown or deleted.
    #[must_use]
    pub fn order(&self, id: OrderId) -> Option<&Order> {
        self.active.get(&id).or_else(|| self.ended.get(&id).and_then(Ended::order))
    }

    /// The newest states, without the deleted ones, by rising id among the active and then among
    /// the ended.
    pub fn orders(&self) -> impl Iterator<Item = &Order> {
        self.active.values().chain(self.ended.values().filter_map(Ended::order))
    }

    /// Returns true if an order is known to be deleted.
    #[must_use]
    pub fn is_deleted(&self, id: OrderId) -> bool {
        matches!(self.ended.get(&id), Some(Ended::Deleted(_)))
    }

    /// Where to resume: the last cursor that was told.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// Compares a told state with what is known, and keeps the newer one.
    fn judge(&mut self, id: OrderId, version: Version, order: Option<&Order>) -> Kind {
        let known = self.active.get(&id).map(|order| (order.version, Some(order)));
        let known =
            known.or_else(|| self.ended.get(&id).map(|ended| (ended.version(), ended.order())));
        let kind = match known {
            None => Kind::New,
            Some((known, _)) if version == known.next() => Kind::Next,
            Some((known, _)) if version > known => Kind::Skipped,
            Some((known, _)) if version < known => Kind::Older,
            Some((_, known)) if known == order => Kind::Duplicate,
            Some(_) => Kind::Contradicting,
        };
        if matches!(kind, Kind::New | Kind::Next | Kind::Skipped) {
            self.keep(id, version, order);
        }
        kind
    }

    fn keep(&mut self, id: OrderId, version: Version, order: Option<&Order>) {
        match order {
            Some(order) if order.status.is_active() => drop(self.active.insert(id, order.clone())),
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
enum Kind {
    New,
    Next,
    Skipped,
    Duplicate,
    Older,
    Contradicting,
}

impl Changes {
    /// Returns true if the picture is another than before.
    #[must_use]
    pub const fn any(&self) -> bool {
        self.new + self.next + self.skipped > 0
    }

    const fn count(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::New => &mut self.new,
            Kind::Next => &mut self.next,
            Kind::Skipped => &mut self.skipped,
            Kind::Duplicate => &mut self.duplicate,
            Kind::Older => &mut self.older,
            Kind::Contradicting => &mut self.contradicting,
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
