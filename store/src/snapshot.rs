//! The initial state of a socket, and the limits on what it can resume, for both stores.

use std::collections::BTreeMap;

use galley_protocol::frame::Resume;
use galley_protocol::{Deleted, Hero, HeroId, Order, OrderId, ResumeCursor};

use crate::RETENTION;
use crate::change_pages::ChangedRow;

/// The most active orders in a snapshot. Pages hold more.
pub const MAX_ACTIVE: usize = 2_000;

/// The most ended orders and deletions in a snapshot, besides the active orders. Pages hold more.
pub const MAX_RESUMED: usize = 2_000;
/// The most bytes of messages in them. Pages hold more.
pub(crate) const MAX_MESSAGES: usize = 256 * 1_024;

/// The most orders that are searched for one cursor. If the hero has more orders from the cursor's
/// low watermark on, all changes since the cursor are left to the pages.
pub(crate) const MAX_SEARCHED: usize = 5 * MAX_RESUMED;

/// The most deletions that are searched for one cursor. If the hero has more, the snapshot holds
/// only the active orders.
pub(crate) const MAX_REACH: usize = 50 * MAX_RESUMED;

/// The distance of the position from which pages read all orders that may be active. Positions of
/// `PostgreSQL` are compared in a circle of 2^32.
const BEFORE_ALL: i64 = 2_000_000_000;

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
    /// The active orders, at most [`MAX_ACTIVE`], and, if resumed, the orders that ended since the
    /// cursor, by rising id.
    pub orders: Vec<Order>,
    /// The orders deleted since the cursor if resumed, by rising id.
    pub deleted: Vec<Deleted>,
    /// The cursor from which the client must read pages, if this snapshot does not hold everything.
    /// If more than [`MAX_RESUMED`] orders ended or were deleted since the client's cursor, it holds
    /// none of these. If more than [`MAX_ACTIVE`] orders are active, it holds some of them, and the
    /// pages hold every order that may be active.
    pub remainder: Option<ResumeCursor>,
    /// The cursor of this snapshot, which contains every change that committed before it.
    pub cursor: ResumeCursor,
}

/// The orders that ended or were deleted since a cursor, as far as they were read.
#[derive(Clone, Debug)]
pub(crate) enum EndedSince {
    Read(Vec<ChangedRow>),
    /// More than [`MAX_SEARCHED`] orders would have to be searched.
    TooMany,
    /// Deletions since then were forgotten, or are more than [`MAX_REACH`].
    Lost,
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

    /// Adds the active orders. If more than [`MAX_ACTIVE`] were read, the others are left to pages.
    pub(crate) fn add_active(&mut self, mut read: Vec<Order>) {
        if read.len() > MAX_ACTIVE {
            read.truncate(MAX_ACTIVE);
            let position = (self.cursor.position - BEFORE_ALL).max(1);
            self.remainder = Some(ResumeCursor { position, ..self.cursor });
        }
        self.orders = read;
    }

    /// Adds the orders that ended or were deleted since the cursor. They were read after the active
    /// orders, so if an order is in both lists, theirs is the newer state. If there are too many,
    /// all of them are left to the pages.
    pub(crate) fn resume(&mut self, since: ResumeCursor, ended: EndedSince) {
        let read = match ended {
            EndedSince::Lost => return,
            EndedSince::Read(read) if fits(&read) => read,
            EndedSince::Read(_) | EndedSince::TooMany => {
                self.resume = Resume::Resumed;
                self.remainder = Some(self.remainder.map_or(since, |all| earlier(all, since)));
                return;
            }
        };
        self.resume = Resume::Resumed;
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

fn fits(read: &[ChangedRow]) -> bool {
    let message = |changed: &ChangedRow| match changed {
        ChangedRow::Order(order) => order.message.as_ref().map_or(0, String::len),
        ChangedRow::Deleted(_) => 0,
    };
    read.len() <= MAX_RESUMED && read.iter().map(message).sum::<usize>() <= MAX_MESSAGES
}

/// The cursor from which pages hold what they hold from either of these.
fn earlier(one: ResumeCursor, other: ResumeCursor) -> ResumeCursor {
    ResumeCursor {
        time: one.time.min(other.time),
        low_watermark: one.low_watermark.min(other.low_watermark),
        position: one.position.min(other.position),
    }
}
