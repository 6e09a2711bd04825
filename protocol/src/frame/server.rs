//! The frames of the gateway.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa::openapi::Ref;
use utoipa::openapi::schema::{Array, ArrayBuilder};

use super::CommandId;
use crate::audience::Audience;
use crate::language::Language;
use crate::problem::Problem;
use crate::{
    Deleted, Hero, Meal, MealId, Order, OrderId, PageCursor, SignedCursor, Status, Timestamp,
    Version,
};

/// The pinned wire format: at least one frame of each type, one a line. Only additions are allowed.
/// The documentation takes its examples from here.
pub const PINNED: &str = include_str!("server.jsonl");

/// A frame to a client.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame<'a> {
    /// The first frame.
    Welcome(Welcome<'a>),
    /// A transition of an order.
    Order {
        /// The new state.
        order: &'a Order,
        /// Resumes after this.
        cursor: SignedCursor,
    },
    /// An order was deleted.
    Deleted {
        /// The deleted order.
        order_id: OrderId,
        /// One more than the version of its last state.
        version: Version,
        /// Resumes after this.
        cursor: SignedCursor,
    },
    /// The hero of the socket was changed, whoever changed it.
    Hero {
        /// The hero as it is now.
        hero: &'a Hero,
    },
    /// The menu was changed; at most once a second. A client reads these meals again, or the menu.
    Menu {
        /// The meals that were added or changed.
        changed: Vec<MealId>,
        /// The meals that were deleted.
        deleted: Vec<MealId>,
        /// True if more changed than the lists may hold, or if nobody knows what did. The lists are
        /// empty then, and the whole menu must be read again.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        #[schema(required = false)]
        all: bool,
    },
    /// A command was carried out.
    Reply {
        /// The id of the command.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        id: Option<CommandId>,
        /// What came of it.
        #[serde(flatten)]
        reply: Reply,
    },
    /// A command was not carried out.
    Error {
        /// The id of the command.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        id: Option<CommandId>,
        /// The problem.
        problem: Box<Problem>,
    },
    /// Answer to a `ping`.
    Pong {
        /// The id of the command.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        id: Option<CommandId>,
    },
    /// What changed since the last `feed` frame.
    Feed(Feed<'a>),
    /// The socket was slow, something was lost on the way to it, or the welcome could not hold
    /// everything: the newest state of every order that changed meanwhile, in as many frames as it
    /// takes, by rising id.
    Resync {
        /// The states.
        orders: Vec<Order>,
        /// The orders deleted meanwhile.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        deleted: Vec<Deleted>,
        /// Resumes after this. In every frame but the last it is the moment from which everything
        /// is told again: who resumes from there hears some of it twice, and misses nothing.
        cursor: SignedCursor,
    },
    /// The gateway is leaving.
    Reconnect {
        /// Milliseconds after which to connect again.
        after_ms: u64,
    },
    /// The token expires soon: a socket says `auth` with a new one, an event stream is opened again
    /// with it.
    Expiring {
        /// Milliseconds until then; close 4401 follows.
        after_ms: u64,
    },
}

/// How a socket began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resume {
    /// Without a cursor.
    Fresh,
    /// Everything since the cursor is in the welcome, or follows in `resync` frames.
    Resumed,
    /// The cursor reached too far back, too much happened since, or it cannot be read here: the
    /// active orders are in the welcome, ended ones must be read.
    Resynced,
}

/// The first frame.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Welcome<'a> {
    /// Whose socket this is; absent on a staff socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub hero: Option<&'a Hero>,
    /// How it began.
    pub resume: Resume,
    /// The active orders, and on a resume every order that changed since the cursor. If there are
    /// more than 2,000 of either kind, the others follow in `resync` frames, which hold all of them.
    pub orders: &'a [Order],
    /// On a resume, the orders deleted since the cursor.
    #[serde(skip_serializing_if = "<[Deleted]>::is_empty")]
    pub deleted: &'a [Deleted],
    /// Resumes after this; absent on a staff socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cursor: Option<SignedCursor>,
    /// What a person may type.
    pub help: &'static str,
}

impl Welcome<'_> {
    /// Returns the welcome of a staff socket.
    #[must_use]
    pub fn of_staff(resume: Resume, cursor: Option<SignedCursor>, language: Language) -> Self {
        let help = language.help(Audience::Staff);
        Self { hero: None, resume, orders: &[], deleted: &[], cursor, help }
    }
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Reply {
    /// Of `place`, `cancel` and `get`.
    #[schema(title = "ReplyOrder")]
    Order {
        /// The order as it is now.
        order: Box<Order>,
        /// The key was known; this is its order.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        replayed: bool,
    },
    /// Of `delete`.
    #[schema(title = "ReplyDeleted")]
    Deleted {
        /// Always true.
        deleted: bool,
        /// The deleted order.
        order_id: OrderId,
    },
    /// Of `orders`.
    Orders(Page<Order>),
    /// Of `menu`.
    Menu(Page<Meal>),
    /// Of `watch`.
    #[schema(title = "ReplyWatching")]
    Watching {
        /// Always true.
        watching: bool,
        /// How many orders there are now; absent while the database is away and none were counted
        /// before.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        totals: Option<Totals>,
        /// Of a watch with a cursor: `resumed` if what changed since then follows first, `resynced`
        /// if the cursor reached too far back or cannot be read here, so that the orders must be
        /// read.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        resume: Option<Resume>,
        /// Resumes after this; absent when nobody knows.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        cursor: Option<SignedCursor>,
    },
    /// Of `auth`.
    #[schema(title = "ReplyAuthenticated")]
    Authenticated {
        /// Always true.
        authenticated: bool,
        /// When the token expires.
        expires_at: Timestamp,
    },
    /// Of `help`.
    #[schema(title = "ReplyHelp")]
    Help {
        /// What a person may type.
        help: &'static str,
    },
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Page<T> {
    /// The entries.
    #[schema(schema_with = references::<T>)]
    pub items: Vec<T>,
    /// Where the next page begins; `null` on the last.
    #[schema(required)]
    pub next_cursor: Option<PageCursor>,
}

/// The schema of the entries. Without it each page would contain a copy of the schema of `T`, and
/// generated clients two types of one entry.
fn references<T: ToSchema>() -> Array {
    let entry = Ref::from_schema_name(T::name());
    ArrayBuilder::new().description(Some("The entries.")).items(entry).build()
}

impl<T> Page<T> {
    /// Creates a page of at most `limit` entries; one more in `read` shows that a next page exists.
    #[must_use]
    pub fn cut(mut read: Vec<T>, limit: usize, id: impl Fn(&T) -> i64) -> Self {
        let more = read.len() > limit;
        read.truncate(limit);
        let next_cursor = read.last().filter(|_| more).map(|last| PageCursor::after(id(last)));
        Self { items: read, next_cursor }
    }

    /// Turns each entry into another.
    pub fn map<U>(self, turn: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(turn).collect(), next_cursor: self.next_cursor }
    }
}

/// How many orders stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct Totals {
    /// Waiting for a worker.
    #[schema(minimum = 0)]
    pub pending: i64,
    /// Being prepared.
    #[schema(minimum = 0)]
    pub in_progress: i64,
    /// Ended well.
    #[schema(minimum = 0)]
    pub completed: i64,
    /// Ended without a meal.
    #[schema(minimum = 0)]
    pub cancelled: i64,
}

impl Totals {
    /// Returns the count of one status.
    #[must_use]
    pub fn of(&mut self, status: Status) -> &mut i64 {
        match status {
            Status::Pending => &mut self.pending,
            Status::InProgress => &mut self.in_progress,
            Status::Completed => &mut self.completed,
            Status::Cancelled => &mut self.cancelled,
        }
    }
}

/// What changed since the last `feed` frame; nothing but the totals, when those told last had been
/// counted too early.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Feed<'a> {
    /// The newest state of every order that changed.
    #[schema(value_type = [Order])]
    pub orders: &'a [OrderJson<'a>],
    /// The orders that were deleted.
    #[serde(skip_serializing_if = "<[Deleted]>::is_empty")]
    pub deleted: &'a [Deleted],
    /// How many orders there are; absent while nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub totals: Option<Totals>,
    /// True when changes are missing here and in the frames before, because there were too many, or
    /// they were lost on their way. What is missing follows in further frames; the next one that
    /// has a cursor ends it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub gap: bool,
    /// Resumes after this; absent while something is missing, and in a frame that tells nothing but
    /// totals.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cursor: Option<SignedCursor>,
}

/// An order that is JSON already, as it came in an update: it is passed on, not read.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(transparent)]
pub struct OrderJson<'a>(&'a RawValue);

impl<'a> OrderJson<'a> {
    /// Takes the JSON of an order; `None` if it is not JSON.
    #[must_use]
    pub fn parse(json: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(json).ok().map(Self)
    }
}

impl PartialEq for OrderJson<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl ServerFrame<'_> {
    /// Returns the `type` on the wire.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Welcome(_) => "welcome",
            Self::Order { .. } => "order",
            Self::Deleted { .. } => "deleted",
            Self::Hero { .. } => "hero",
            Self::Menu { .. } => "menu",
            Self::Reply { .. } => "reply",
            Self::Error { .. } => "error",
            Self::Pong { .. } => "pong",
            Self::Feed(_) => "feed",
            Self::Resync { .. } => "resync",
            Self::Reconnect { .. } => "reconnect",
            Self::Expiring { .. } => "expiring",
        }
    }

    /// Returns the cursor with which to resume after this frame; `None` if it does not change.
    #[must_use]
    pub const fn cursor(&self) -> Option<SignedCursor> {
        match self {
            Self::Welcome(welcome) => welcome.cursor,
            Self::Feed(feed) => feed.cursor,
            Self::Reply { reply: Reply::Watching { cursor, .. }, .. } => *cursor,
            Self::Order { cursor, .. }
            | Self::Deleted { cursor, .. }
            | Self::Resync { cursor, .. } => Some(*cursor),
            Self::Hero { .. }
            | Self::Menu { .. }
            | Self::Reply { .. }
            | Self::Error { .. }
            | Self::Pong { .. }
            | Self::Reconnect { .. }
            | Self::Expiring { .. } => None,
        }
    }

    /// Returns the frame as one line of JSON.
    #[must_use]
    pub fn encode(&self) -> String {
        serde_json::to_string(self)
            .expect("a frame has string keys only and no number that JSON lacks")
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Audience, Feed, Language, OrderJson, PINNED, Page, Reply, Resume, ServerFrame, Totals,
        Welcome,
    };
    use crate::frame::CommandId;
    use crate::{
        CursorKey, Deleted, Meal, Order, OrderId, PlaceOrder, Problem, ProblemType, Reason,
        ResumeCursor, Status, Timestamp, Version,
    };

    fn order() -> Order {
        let time = |millis| Timestamp::from_millis(millis).expect("in range");
        let command = PlaceOrder::of(crate::MealId::new(2).expect("an id"));
        let hero_id = crate::HeroId::new(1).expect("an id");
        let id = OrderId::new(7).expect("an id");
        Order {
            status: Status::Cancelled,
            message: Some("Allergy conflict: Nut".to_owned()),
            reason: Some(Reason::Allergy),
            version: Version(3),
            started_time: Some(time(2_000)),
            completed_time: Some(time(2_000)),
            ..Order::placed(id, hero_id, &command, time(1_000))
        }
    }

    fn meal() -> Meal {
        Meal {
            id: crate::MealId::new(2).expect("an id"),
            name: crate::MealName::parse("Soup").expect("a name"),
            ingredients: vec![crate::Ingredient::parse("water").expect("an ingredient")],
            price: crate::Price::from_hundredths(950).expect("a price"),
            origin_planet: crate::Planet::parse("Mars").expect("a planet"),
            description: crate::Description::default(),
            version: Version::FIRST,
        }
    }

    #[test]
    fn the_last_page_has_no_cursor() {
        let full = Page::cut(vec![1, 2, 3], 2, |id| *id);
        assert_eq!(
            (full.items, full.next_cursor.map(crate::PageCursor::get)),
            (vec![1, 2], Some(2))
        );
        let last = Page::cut(vec![1, 2], 2, |id| *id);
        assert_eq!((last.items, last.next_cursor), (vec![1, 2], None));
    }

    #[test]
    fn frames_look_like_this_for_ever() {
        let order = order();
        let cursor =
            ResumeCursor { time: order.changed_time(), low_watermark: order.id, position: 9 };
        let cursor = CursorKey::new(1, b"secret").sign(cursor);
        let deleted = [Deleted { order_id: order.id, version: Version(4) }];
        let totals = Totals { pending: 1, in_progress: 2, completed: 3, cancelled: 4 };
        let hero = crate::Hero {
            id: order.hero_id,
            name: crate::HeroName::parse("Zoé").expect("a name"),
            planet: crate::Planet::parse("Earth").expect("a planet"),
            allergies: vec![],
            version: Version(1),
        };
        let order_json = serde_json::to_string(&order).expect("an order is JSON");
        let raw = OrderJson::parse(order_json.as_bytes()).expect("JSON");
        let reply = |reply| ServerFrame::Reply { id: Some(CommandId::Number(1)), reply };
        let frames = [
            ServerFrame::Welcome(Welcome {
                hero: Some(&hero),
                resume: Resume::Resumed,
                orders: std::slice::from_ref(&order),
                deleted: &deleted,
                cursor: Some(cursor),
                help: Language::default().help(Audience::Hero),
            }),
            ServerFrame::Welcome(Welcome::of_staff(Resume::Fresh, None, Language::default())),
            ServerFrame::Order { order: &order, cursor },
            ServerFrame::Deleted { order_id: order.id, version: Version(4), cursor },
            ServerFrame::Hero { hero: &hero },
            ServerFrame::Menu {
                changed: vec![meal().id],
                deleted: vec![crate::MealId::FIRST],
                all: false,
            },
            ServerFrame::Menu { changed: vec![], deleted: vec![], all: true },
            reply(Reply::Order { order: Box::new(order.clone()), replayed: false }),
            ServerFrame::Reply {
                id: None,
                reply: Reply::Order { order: Box::new(order.clone()), replayed: true },
            },
            reply(Reply::Deleted { deleted: true, order_id: order.id }),
            reply(Reply::Orders(Page { items: vec![order.clone()], next_cursor: None })),
            reply(Reply::Menu(Page::cut(vec![meal(), meal()], 1, |meal| meal.id.get()))),
            reply(Reply::Watching {
                watching: true,
                totals: Some(totals),
                resume: None,
                cursor: None,
            }),
            reply(Reply::Watching { watching: true, totals: None, resume: None, cursor: None }),
            reply(Reply::Watching {
                watching: true,
                totals: None,
                resume: Some(Resume::Resumed),
                cursor: Some(cursor),
            }),
            reply(Reply::Authenticated { authenticated: true, expires_at: order.changed_time() }),
            reply(Reply::Help { help: Language::default().help(Audience::Hero) }),
            ServerFrame::Error {
                id: Some(CommandId::Text("a".to_owned())),
                problem: Box::new(Problem::new(ProblemType::OrderNotFound)),
            },
            ServerFrame::Pong { id: Some(CommandId::Number(1)) },
            ServerFrame::Feed(Feed { orders: &[raw], totals: Some(totals), ..Feed::default() }),
            ServerFrame::Feed(Feed { orders: &[raw], ..Feed::default() }),
            ServerFrame::Feed(Feed { orders: &[raw], gap: true, ..Feed::default() }),
            ServerFrame::Feed(Feed { orders: &[raw], cursor: Some(cursor), ..Feed::default() }),
            ServerFrame::Resync { orders: vec![order.clone()], deleted: vec![], cursor },
            ServerFrame::Reconnect { after_ms: 1234 },
            ServerFrame::Expiring { after_ms: 60_000 },
        ];
        for frame in &frames {
            let read: serde_json::Value =
                serde_json::from_str(&frame.encode()).expect("a frame is JSON");
            assert_eq!(frame.kind(), read["type"]);
            assert_eq!(
                frame.cursor().map(|cursor| cursor.to_string()).as_deref(),
                read["cursor"].as_str()
            );
        }
        let encoded: String = frames.iter().map(|frame| frame.encode() + "\n").collect();
        assert_eq!(encoded, PINNED);
    }
}
