//! A client's knowledge of its hero's orders, with the counts that tests need.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use galley_protocol::frame::{Received, Resume};
use galley_protocol::{Order, OrderId, Picture, Status, Timestamp};

use crate::Truth;
use crate::test_socket::MAX_ENDED;

/// The differences that a message lists; the others are only counted.
const MAX_NAMED: usize = 5;

/// The orders that a client knows.
#[derive(Clone, Debug)]
pub struct HeroView {
    hero: i64,
    picture: Picture,
    /// The picture must contain every change after this moment.
    since: Timestamp,
    cursor: Option<String>,
    /// The number of frames applied.
    pub frames: usize,
    /// The number of `resync` frames among them.
    pub resyncs: usize,
    /// The number of changes that a `welcome` told first.
    pub told_by_welcome: usize,
}

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeroNews {
    /// The first frame.
    Welcome,
    /// A change or the deletion of one order.
    Change,
    /// The newest states of many orders.
    Resync,
    /// The hero, or a change of the menu.
    Resource,
    /// The gateway is stopping and closes the socket after this time.
    Reconnect(Duration),
    /// The answer to a successful command.
    Reply,
    /// The answer to a refused command.
    Refusal,
}

impl HeroView {
    /// The empty view of a client that begins with this cursor, or without one.
    #[must_use]
    pub fn empty(hero: i64, cursor: Option<&str>) -> Self {
        Self {
            hero,
            picture: Picture::new(MAX_ENDED),
            since: cursor.map_or(Timestamp::EPOCH, time_of),
            cursor: cursor.map(str::to_owned),
            frames: 0,
            resyncs: 0,
            told_by_welcome: 0,
        }
    }

    /// Applies a frame.
    pub fn take(&mut self, text: &str) -> HeroNews {
        let frame: Received =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        self.frames += 1;
        let news = match &frame {
            Received::Welcome { .. } => HeroNews::Welcome,
            Received::Order { .. } | Received::Deleted { .. } => HeroNews::Change,
            Received::Resync { .. } => HeroNews::Resync,
            Received::Hero { .. } | Received::Menu { .. } => HeroNews::Resource,
            Received::Reconnect { after_ms } => {
                HeroNews::Reconnect(Duration::from_millis(*after_ms))
            }
            Received::Reply { .. } => HeroNews::Reply,
            Received::Error { .. } => HeroNews::Refusal,
            Received::Feed { .. }
            | Received::Pong { .. }
            | Received::Expiring { .. }
            | Received::Unknown => panic!("a hero's socket gets no such frame: {text}"),
        };
        if matches!(news, HeroNews::Welcome | HeroNews::Change | HeroNews::Resync) {
            let cursor = frame.cursor().unwrap_or_else(|| panic!("no cursor in {text}"));
            if matches!(&frame, Received::Welcome { resume, .. } if *resume != Resume::Resumed) {
                // Orders that ended or were deleted before are not told, and the previous knowledge
                // of the client is void.
                self.picture = Picture::new(MAX_ENDED);
                self.since = time_of(cursor);
            }
            self.cursor = Some(cursor.to_owned());
        }
        for order in frame.orders() {
            assert_eq!(order.hero_id.get(), self.hero, "an order of somebody else: {text}");
        }
        let changes = self.picture.apply(&frame);
        assert_eq!(changes.contradicting, 0, "{text} contradicts {:?}", self.picture);
        match news {
            HeroNews::Welcome => {
                self.told_by_welcome += changes.new + changes.next + changes.skipped;
            }
            HeroNews::Resync => self.resyncs += 1,
            HeroNews::Change
            | HeroNews::Resource
            | HeroNews::Reconnect(_)
            | HeroNews::Reply
            | HeroNews::Refusal => {}
        }
        news
    }

    /// The cursor with which the client resumes, if any.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// The hero whose orders these are.
    #[must_use]
    pub fn hero(&self) -> i64 {
        self.hero
    }

    /// The status of an order; `None` if the client does not know it, or it is deleted.
    #[must_use]
    pub fn status_of(&self, order: i64) -> Option<Status> {
        let order = OrderId::new(order).expect("an id of an order");
        self.picture.order(order).map(|order| order.status)
    }

    /// The differences from the database; `None` if both agree on every order that the client had
    /// to be told of.
    #[must_use]
    pub fn difference(&self, truth: &Truth) -> Option<String> {
        let stored = truth.of(self.hero);
        let differs = |order: &&Order| match self.picture.order(order.id) {
            Some(known) => known != *order,
            None => self.picture.is_deleted(order.id) || changed(order) > self.since,
        };
        let gone = self.picture.orders().filter(|order| !stored.contains_key(&order.id));
        let mut differing: Vec<&Order> = stored.values().filter(differs).chain(gone).collect();
        if differing.is_empty() {
            return None;
        }
        differing.sort_unstable_by_key(|order| order.id);
        let (differ, all, hero) = (differing.len(), stored.len(), self.hero);
        let mut text = format!("{differ} of {all} orders of hero {hero} differ");
        for Order { id, .. } in differing.into_iter().take(MAX_NAMED) {
            let (is, known) = (stored.get(id), self.picture.order(*id));
            write!(text, "; an order is {is:?}, the client knows {known:?}")
                .expect("writing to memory does not fail");
        }
        Some(text)
    }
}

/// The time of the change to the present version.
fn changed(order: &Order) -> Timestamp {
    order.completed_time.or(order.started_time).unwrap_or(order.order_time)
}

/// The moment of a cursor, in its bytes 5 to 12. Only a checker may read it: to clients a cursor is
/// opaque.
fn time_of(cursor: &str) -> Timestamp {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).unwrap_or_else(|error| panic!("{cursor}: {error}"));
    let millis = i64::from_be_bytes(*bytes[5..].first_chunk().expect("a time"));
    Timestamp::from_millis(millis).expect("in range")
}
