//! What a socket must know when it begins, and how much of what it missed that can be: judged here
//! for both stores.

use std::collections::BTreeMap;

use galley_protocol::frame::Resume;
use galley_protocol::{Deleted, Hero, HeroId, Order, OrderId, ResumeCursor};

use crate::RETENTION;
use crate::change_pages::ChangedRow;

/// The most ended orders and deletions in one snapshot, besides all active orders. When more
/// happened since the cursor, they are to be read in pages.
pub const MAX_RESUMED: usize = 2_000;

/// The most orders, and the most deletions, that are looked at for the sake of one cursor. When its
/// low watermark is further back than so many orders of the hero, the snapshot holds the active orders
/// only.
pub(crate) const MAX_REACH: usize = 50 * MAX_RESUMED;

/// Asks for what a socket must know when it begins.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotRequest {
    /// Whose socket.
    pub hero_id: HeroId,
    /// The cursor that it has.
    pub since: Option<ResumeCursor>,
}

/// The state that a socket begins with.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Whose socket.
    pub hero: Hero,
    /// How much of what happened since the cursor is in here.
    pub resume: Resume,
    /// All active orders and, when resumed, those that ended since the cursor, by rising id.
    pub orders: Vec<Order>,
    /// When resumed, those deleted since the cursor, by rising id.
    pub deleted: Vec<Deleted>,
    /// When more than [`MAX_RESUMED`] ended or were deleted since the cursor: none of them is in
    /// here, and they are to be read in pages from this cursor on.
    pub remainder: Option<ResumeCursor>,
    /// Everything that had committed before this is in here.
    pub cursor: ResumeCursor,
}

impl SnapshotRequest {
    /// The cursor, when what happened since can be told. Deletions are kept for [`RETENTION`] only,
    /// so that what a cursor from before that missed cannot be told whole. A position that the
    /// database has not reached is of another history. A time in the future is none: the clock was
    /// set back.
    pub(crate) fn usable(&self, now: ResumeCursor) -> Option<ResumeCursor> {
        let kept = i64::try_from(RETENTION.as_millis()).unwrap_or(i64::MAX);
        self.since.filter(|since| {
            since.time >= now.time.minus_millis(kept) && since.position <= now.position
        })
    }
}

impl Snapshot {
    /// Without any order yet. A cursor that was given leads to nothing, until [`Snapshot::resume`]
    /// says otherwise.
    pub(crate) fn new(hero: Hero, request: &SnapshotRequest, cursor: ResumeCursor) -> Self {
        let resume = if request.since.is_some() { Resume::Resynced } else { Resume::Fresh };
        Self { hero, resume, orders: Vec::new(), deleted: Vec::new(), remainder: None, cursor }
    }

    /// Adds what ended or was deleted since the cursor, read after the active orders: of an order
    /// in both this is the newer state. What was read beyond [`MAX_RESUMED`] says that there is
    /// more, and then all of it is left for the pages.
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
