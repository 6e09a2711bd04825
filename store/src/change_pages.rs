//! Changes since a cursor: requests, answers, and how both stores build the answers from rows.

use galley_protocol::{Deleted, HeroId, Order, OrderId, ResumeCursor};

/// The most orders and deletions in one page. The next page has the remainder.
pub const CHANGES_PAGE: usize = 200;

/// The most bytes of messages in one page that [`Changes::bounded`] has cut.
const MAX_MESSAGES: usize = 64 * 1_024;

/// A request for one page of changes of one hero's orders.
#[derive(Clone, Copy, Debug)]
pub struct ChangesRequest {
    /// The hero whose orders are read.
    pub hero_id: HeroId,
    /// The cursor of the client; the same for all pages.
    pub since: ResumeCursor,
    /// The `next` of the page before; `None` for the first page.
    pub after: Option<OrderId>,
}

/// A page of the orders of one hero that changed: the newest state of each, by rising id.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// The orders that changed.
    pub orders: Vec<Order>,
    /// The orders that were deleted.
    pub deleted: Vec<Deleted>,
    /// The cursor of this page: this page and the later ones contain every change that committed
    /// before it. Clients must keep the cursor of the first page. A change of an order on an
    /// earlier page that commits while a later page is read is on neither.
    pub cursor: ResumeCursor,
    /// The greatest id on this page, after which the next one begins; `None` on the last page.
    pub next: Option<OrderId>,
}

/// The present states of some orders, by rising id. Orders that were forgotten are missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct States {
    /// The newest state of each.
    pub orders: Vec<Order>,
    /// The deleted orders.
    pub deleted: Vec<Deleted>,
}

/// Changes of all heroes' orders: those with the greatest ids, by falling id.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangesOfAll {
    /// The orders that changed.
    pub orders: Vec<Order>,
    /// The orders that were deleted.
    pub deleted: Vec<Deletion>,
    /// The cursor of this answer: every change before it is contained, within the limit.
    pub cursor: ResumeCursor,
}

/// A deleted order and its hero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// The hero who placed the order.
    pub hero_id: HeroId,
    /// The order's id and the version of its deletion.
    pub deleted: Deleted,
}

#[derive(Clone, Debug)]
pub(crate) enum ChangedRow {
    Order(Order),
    Deleted(Deletion),
}

impl ChangedRow {
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
    /// The smallest id of an order here; orders below the low watermark have not changed since.
    pub(crate) fn from(&self, low_watermark: OrderId) -> i64 {
        let first = self.since.low_watermark.min(low_watermark).get();
        self.after.map_or(first, |after| first.max(after.get() + 1))
    }
}

impl Changes {
    /// Builds a page from up to `CHANGES_PAGE + 1` rows; the extra row only shows that more follow.
    pub(crate) fn page(mut read: Vec<ChangedRow>, cursor: ResumeCursor) -> Self {
        let more = read.len() > CHANGES_PAGE;
        read.truncate(CHANGES_PAGE);
        let next = read.last().filter(|_| more).map(ChangedRow::id);
        let States { orders, deleted } = States::new(read);
        Self { orders, deleted, cursor, next }
    }

    /// Ends the page early if its messages are long; it holds at least one order. The next page
    /// begins there.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let mut bytes = 0;
        let fitting = self.orders.iter().take_while(|order| {
            bytes += order.message.as_ref().map_or(0, String::len);
            bytes <= MAX_MESSAGES
        });
        let fitting = fitting.count().max(1);
        if fitting < self.orders.len() {
            self.orders.truncate(fitting);
            self.next = self.orders.last().map(|order| order.id);
            self.deleted.retain(|deleted| Some(deleted.order_id) <= self.next);
        }
        self
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

#[cfg(test)]
mod tests {
    use galley_protocol::{
        Deleted, HeroId, MealId, Order, OrderId, PlaceOrder, ResumeCursor, Timestamp, Version,
    };

    use super::{Changes, MAX_MESSAGES};

    fn id(id: i64) -> OrderId {
        OrderId::new(id).expect("an id")
    }

    fn order(number: i64, message: usize) -> Order {
        let command = PlaceOrder::of(MealId::FIRST);
        let order = Order::placed(id(number), HeroId::FIRST, &command, Timestamp::EPOCH);
        Order { message: Some("x".repeat(message)), ..order }
    }

    #[test]
    fn a_page_of_long_messages_ends_early_and_the_next_one_begins_there() {
        let deleted = [1, 3, 5].map(|order| Deleted { order_id: id(order), version: Version(4) });
        let page = |orders: Vec<Order>| {
            let (cursor, deleted) = (ResumeCursor::EXPIRED, deleted.to_vec());
            let page = Changes { orders, deleted, cursor, next: None }.bounded();
            (page.orders.len(), page.deleted.len(), page.next)
        };
        let half = MAX_MESSAGES / 2;
        assert_eq!(page(vec![order(2, half), order(4, half)]), (2, 3, None));
        assert_eq!(page(vec![order(2, half), order(4, half + 1)]), (1, 1, Some(id(2))));
        assert_eq!(page(vec![order(4, 2 * MAX_MESSAGES), order(6, 1)]), (1, 2, Some(id(4))));
        assert_eq!(page(vec![]), (0, 3, None));
    }
}
