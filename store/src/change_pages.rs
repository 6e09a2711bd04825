//! What changed since a cursor: the questions, the answers, and how both stores make the answers of
//! what they read.

use galley_protocol::{Deleted, HeroId, Order, OrderId, ResumeCursor};

/// The most orders and deletions in one page; what is beyond comes with the next page.
pub const CHANGES_PAGE: usize = 200;

/// Asks for a page of what changed of one hero's orders.
#[derive(Clone, Copy, Debug)]
pub struct ChangesRequest {
    /// Whose orders.
    pub hero_id: HeroId,
    /// The cursor of the client; the same for all pages.
    pub since: ResumeCursor,
    /// The `next` of the page before; nothing for the first page.
    pub after: Option<OrderId>,
}

/// A page of what changed of one hero's orders: the newest state of each, by rising id.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// The orders that changed.
    pub orders: Vec<Order>,
    /// The orders that were deleted.
    pub deleted: Vec<Deleted>,
    /// Everything that had committed before this is in this page and those after it. So of all
    /// pages together it is the cursor of the first that counts: what changed on an earlier page
    /// while a later one was read, is on neither.
    pub cursor: ResumeCursor,
    /// Where the next page begins; nothing on the last.
    pub next: Option<OrderId>,
}

/// The present states of some orders, by rising id, without those that were forgotten.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct States {
    /// The newest state of each.
    pub orders: Vec<Order>,
    /// The deleted orders.
    pub deleted: Vec<Deleted>,
}

/// The changes of all heroes' orders: those with the greatest ids, by falling id.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangesOfAll {
    /// The orders that changed.
    pub orders: Vec<Order>,
    /// The orders that were deleted.
    pub deleted: Vec<Deletion>,
    /// Everything that had committed before this is in here, as far as the limit allowed.
    pub cursor: ResumeCursor,
}

/// An order that was deleted, and whose it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Whose.
    pub hero_id: HeroId,
    /// The deleted.
    pub deleted: Deleted,
}

/// A row of the changes.
#[derive(Clone, Debug)]
pub(crate) enum ChangedRow {
    Order(Order),
    Deleted(Deletion),
}

impl ChangedRow {
    /// Reads a row with the last state of the order and its deletion mark.
    pub(crate) fn of(order: Order, is_deleted: bool) -> Self {
        if is_deleted {
            let deleted = Deleted { order_id: order.id, version: order.version.next() };
            Self::Deleted(Deletion { hero_id: order.hero_id, deleted })
        } else {
            Self::Order(order)
        }
    }

    fn id(&self) -> OrderId {
        match self {
            Self::Order(order) => order.id,
            Self::Deleted(deletion) => deletion.deleted.order_id,
        }
    }
}

impl ChangesRequest {
    /// The smallest id of an order that can be on this page without having been deleted.
    pub(crate) fn from(&self, low_watermark: OrderId) -> i64 {
        let first = self.since.low_watermark.min(low_watermark).get();
        self.after.map_or(first, |after| first.max(after.get() + 1))
    }
}

impl Changes {
    /// Makes a page of up to [`CHANGES_PAGE`] and one more: the one more tells of a next page.
    pub(crate) fn page(mut read: Vec<ChangedRow>, cursor: ResumeCursor) -> Self {
        let more = read.len() > CHANGES_PAGE;
        read.truncate(CHANGES_PAGE);
        let next = read.last().filter(|_| more).map(ChangedRow::id);
        let States { orders, deleted } = States::new(read);
        Self { orders, deleted, cursor, next }
    }
}

impl States {
    pub(crate) fn new(read: Vec<ChangedRow>) -> Self {
        let (orders, deletions) = split(read);
        Self { orders, deleted: deletions.into_iter().map(|deletion| deletion.deleted).collect() }
    }
}

impl ChangesOfAll {
    pub(crate) fn new(read: Vec<ChangedRow>, cursor: ResumeCursor) -> Self {
        let (orders, deleted) = split(read);
        Self { orders, deleted, cursor }
    }
}

fn split(read: Vec<ChangedRow>) -> (Vec<Order>, Vec<Deletion>) {
    let (mut orders, mut deletions) = (Vec::new(), Vec::new());
    for changed in read {
        match changed {
            ChangedRow::Order(order) => orders.push(order),
            ChangedRow::Deleted(deletion) => deletions.push(deletion),
        }
    }
    (orders, deletions)
}
