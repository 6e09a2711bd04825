//! The initial state of a socket, and the limits on what it can resume, for both stores.

use std::collections::BTreeMap;

use galley_protocol::frame::Resume;
use galley_protocol::{Deleted, Hero, HeroId, Order, OrderId, ResumeCursor};

use crate::RETENTION;
use crate::change_pages::ChangedRow;

/// The most ended orders and deletions in a snapshot, besides all active orders. Pages hold more.
pub const MAX_RESUMED: usize = 2_000;

/// The most orders, and the most deletions, that are searched for one cursor. If the hero has more
/// orders from the cursor's low watermark on, the snapshot holds only the active ones.
pub(crate) const MAX_REACH: usize = 50 * MAX_RESUMED;

/// A request for the initial state of a socket.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotRequest {
    /// The hero of the socket.
    pub hero_id: HeroId,
    /// The cursor that the client sent.
    pub since: Option<ResumeCursor>,
}

/// The initial state of a socket.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The hero of the socket.
    pub hero: Hero,
    /// How this snapshot continues from the cursor.
    pub resume: Resume,
    /// All active orders and, if resumed, the orders that ended since the cursor, by rising id.
    pub orders: Vec<Order>,
    /// The orders deleted since the cursor if resumed, by rising id.
    pub deleted: Vec<Deleted>,
    /// The cursor from which the client must read pages, if more than [`MAX_RESUMED`] orders ended
    /// or were deleted since. Then this snapshot holds none of these.
    pub remainder: Option<ResumeCursor>,
    /// The cursor of this snapshot, which contains every change that committed before it.
    pub cursor: ResumeCursor,
}

impl SnapshotRequest {
    /// The cursor, if the changes since can be known in full. A cursor older than [`RETENTION`] may
    /// have missed deletions that are forgotten. A position that the database has not reached
    /// belongs to another history. A time in the future is accepted: the clock may have been set
    /// back.
    pub(crate) fn usable(&self, now: ResumeCursor) -> Option<ResumeCursor> {
        let kept = i64::try_from(RETENTION.as_millis()).unwrap_or(i64::MAX);
        self.since.filter(|since| {
            since.time >= now.time.minus_millis(kept) && since.position <= now.position
        })
    }
}

impl Snapshot {
    /// A snapshot without orders: a cursor is not resumable until [`Snapshot::resume`] is called.
    pub(crate) fn new(hero: Hero, request: &SnapshotRequest, cursor: ResumeCursor) -> Self {
        let resume = if request.since.is_some() { Resume::Resynced } else { Resume::Fresh };
        Self { hero, resume, orders: Vec::new(), deleted: Vec::new(), remainder: None, cursor }
    }

    /// Adds the orders that ended or were deleted since the cursor. They were read after the active
    /// orders, so if an order is in both lists, theirs is the newer state. If more than
    /// [`MAX_RESUMED`] were read, all of them are left to the pages.
    pub(crate) fn resume(&mut self, since: ResumeCursor, read: Vec<ChangedRow>) {
        self.resume = Resume::Resumed;
        if read.len() > MAX_RESUMED {
            self.remainder = Some(since);
            return;
        }
        let mut orders: BTreeMap<OrderId, Order> =
            self.orders.drain(..).map(|order| (order.id, order)).collect();
        for changed in read {
            match changed {
                ChangedRow::Order(order) => drop(orders.insert(order.id, order)),
                ChangedRow::Deleted(deletion) => {
                    orders.remove(&deletion.deleted.order_id);
                    self.deleted.push(deletion.deleted);
                }
            }
        }
        self.orders = orders.into_values().collect();
    }
}
