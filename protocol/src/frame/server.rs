//! What the gateway says.

use serde::Serialize;
use serde_json::value::RawValue;

use super::CommandId;
use crate::problem::Problem;
use crate::{Deleted, Hero, Meal, Order, OrderId, PageCursor, ResumeCursor, Status, Version};

/// A frame to a client.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame<'a> {
    /// The first frame.
    Welcome(Welcome<'a>),
    /// A transition of an order.
    Order {
        /// The state it came into.
        order: &'a Order,
        /// Resumes after this.
        cursor: ResumeCursor,
    },
    /// An order was deleted.
    Deleted {
        /// Which.
        order_id: OrderId,
        /// One more than its last state's.
        version: Version,
        /// Resumes after this.
        cursor: ResumeCursor,
    },
    /// A command was carried out.
    Reply {
        /// The command's.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<CommandId>,
        /// What came of it.
        #[serde(flatten)]
        reply: Reply,
    },
    /// A command was not carried out.
    Error {
        /// The command's.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<CommandId>,
        /// Why.
        problem: Box<Problem>,
    },
    /// Answer to a `ping`.
    Pong {
        /// The command's.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<CommandId>,
    },
    /// What changed since the last `feed` frame.
    Feed(Feed<'a>),
    /// The socket was slow, or something was lost on the way to it: the newest state of every order that changed meanwhile, in
    /// as many frames as it takes, by rising id.
    Resync {
        /// The states.
        orders: Vec<Order>,
        /// The orders deleted meanwhile.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        deleted: Vec<Deleted>,
        /// Resumes after this. In every frame but the last it is the moment from which everything is told again: who resumes
        /// from there hears some of it twice, and misses nothing.
        cursor: ResumeCursor,
    },
    /// The gateway is leaving.
    Reconnect {
        /// Come back after so many milliseconds.
        after_ms: u64,
    },
}

/// How a socket began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resume {
    /// Without a cursor.
    Fresh,
    /// Everything since the cursor is in the welcome.
    Resumed,
    /// The cursor reached too far back: the active orders are in the welcome, ended ones must be read.
    Resynced,
}

/// The first frame.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Welcome<'a> {
    /// Whose socket this is; absent on a staff socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hero: Option<&'a Hero>,
    /// How it began.
    pub resume: Resume,
    /// All active orders, and on a resume every order that changed since the cursor.
    pub orders: &'a [Order],
    /// On a resume, the orders deleted since the cursor.
    #[serde(skip_serializing_if = "<[Deleted]>::is_empty")]
    pub deleted: &'a [Deleted],
    /// Resumes after this; absent on a staff socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<ResumeCursor>,
    /// What a person may type.
    pub help: &'static str,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// Of `place`, `cancel` and `get`.
    Order {
        /// The order as it is now.
        order: Box<Order>,
        /// The key was known: this is the order it stands for.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        replayed: bool,
    },
    /// Of `delete`.
    Deleted {
        /// Always true.
        deleted: bool,
        /// Which.
        order_id: OrderId,
    },
    /// Of `orders`.
    Orders(Page<Order>),
    /// Of `menu`.
    Menu(Page<Meal>),
    /// Of `watch`.
    Watching {
        /// Always true.
        watching: bool,
        /// How many orders there are now.
        totals: Totals,
    },
    /// Of `help`.
    Help {
        /// What a person may type.
        help: &'static str,
    },
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Where the next page begins; `null` on the last.
    #[schema(required, value_type = Option<String>)]
    pub next_cursor: Option<PageCursor>,
}

impl<T> Page<T> {
    /// Makes a page of at most `limit` entries out of up to `limit + 1` that were read: the one more tells of a next page.
    #[must_use]
    pub fn cut(mut read: Vec<T>, limit: usize, id: impl Fn(&T) -> i64) -> Self {
        let more = read.len() > limit;
        read.truncate(limit);
        let next_cursor = read.last().filter(|_| more).map(|last| PageCursor::after(id(last)));
        Self { items: read, next_cursor }
    }
}

/// How many orders stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct Totals {
    /// Waiting for a worker.
    pub pending: i64,
    /// Being prepared.
    pub in_progress: i64,
    /// Ended well.
    pub completed: i64,
    /// Ended without a meal.
    pub cancelled: i64,
}

impl Totals {
    /// The count of one status.
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

/// What changed since the last `feed` frame; nothing but the totals, when those told last had been counted too early.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Feed<'a> {
    /// The newest state of every order that changed.
    pub orders: &'a [OrderJson<'a>],
    /// The orders that were deleted.
    #[serde(skip_serializing_if = "<[Deleted]>::is_empty")]
    pub deleted: &'a [Deleted],
    /// How many orders there are.
    pub totals: Totals,
}

/// An order that is JSON already, as it came in an update: it is passed on, not read.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(transparent)]
pub struct OrderJson<'a>(&'a RawValue);

impl<'a> OrderJson<'a> {
    /// Takes the JSON of an order; nothing when it is not JSON.
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
    /// The `type` on the wire.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Welcome(_) => "welcome",
            Self::Order { .. } => "order",
            Self::Deleted { .. } => "deleted",
            Self::Reply { .. } => "reply",
            Self::Error { .. } => "error",
            Self::Pong { .. } => "pong",
            Self::Feed(_) => "feed",
            Self::Resync { .. } => "resync",
            Self::Reconnect { .. } => "reconnect",
        }
    }

    /// Where a client resumes that has this frame; nothing when the frame moves it nowhere.
    #[must_use]
    pub const fn cursor(&self) -> Option<ResumeCursor> {
        match self {
            Self::Welcome(welcome) => welcome.cursor,
            Self::Order { cursor, .. } | Self::Deleted { cursor, .. } | Self::Resync { cursor, .. } => Some(*cursor),
            Self::Reply { .. } | Self::Error { .. } | Self::Pong { .. } | Self::Feed(_) | Self::Reconnect { .. } => None,
        }
    }

    /// The frame as one line of JSON.
    #[must_use]
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("a frame has string keys only and no number that JSON lacks")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{Feed, OrderJson, Page, Reply, Resume, ServerFrame, Totals, Welcome};
    use crate::frame::CommandId;
    use crate::{Deleted, Order, OrderId, Problem, ProblemType, Reason, ResumeCursor, Status, Timestamp, Version, words};

    fn order() -> Order {
        let time = |millis| Timestamp::from_millis(millis).expect("in range");
        Order {
            id: OrderId::new(7).expect("an id"),
            hero_id: crate::HeroId::new(1).expect("an id"),
            meal_id: crate::MealId::new(2).expect("an id"),
            status: Status::Cancelled,
            message: Some("Allergy conflict: Nut".to_owned()),
            reason: Some(Reason::Allergy),
            version: Version(3),
            order_time: time(1_000),
            started_time: Some(time(2_000)),
            completed_time: Some(time(2_000)),
        }
    }

    #[test]
    fn the_last_page_has_no_cursor() {
        let full = Page::cut(vec![1, 2, 3], 2, |id| *id);
        assert_eq!((full.items, full.next_cursor.map(crate::PageCursor::get)), (vec![1, 2], Some(2)));
        let last = Page::cut(vec![1, 2], 2, |id| *id);
        assert_eq!((last.items, last.next_cursor), (vec![1, 2], None));
    }

    /// The wire, pinned: a change here is a change for every client. Only additions are allowed.
    #[test]
    fn frames_look_like_this_for_ever() {
        let order = order();
        let cursor = ResumeCursor { time: order.changed_time(), floor: order.id };
        let deleted = [Deleted { order_id: order.id, version: Version(4) }];
        let order_json = r#"{"id":7,"hero_id":1,"meal_id":2,"status":"CANCELLED","message":"Allergy conflict: Nut","reason":"allergy","version":3,"order_time":"1970-01-01T00:00:01.000Z","started_time":"1970-01-01T00:00:02.000Z","completed_time":"1970-01-01T00:00:02.000Z"}"#;
        let totals = Totals { pending: 1, in_progress: 2, completed: 3, cancelled: 4 };
        let totals_json = r#"{"PENDING":1,"IN_PROGRESS":2,"COMPLETED":3,"CANCELLED":4}"#;
        let hero = crate::Hero {
            id: order.hero_id,
            name: crate::HeroName::parse("Zoé").expect("a name"),
            planet: crate::Planet::parse("Earth").expect("a planet"),
            allergies: vec![],
            version: Version(1),
        };
        let number = Some(CommandId::Number(1));
        let raw = OrderJson::parse(order_json.as_bytes()).expect("JSON");
        let cases = [
            (
                ServerFrame::Welcome(Welcome {
                    hero: Some(&hero),
                    resume: Resume::Resumed,
                    orders: std::slice::from_ref(&order),
                    deleted: &deleted,
                    cursor: Some(cursor),
                    help: words::HELP,
                }),
                format!(
                    r#"{{"type":"welcome","hero":{{"id":1,"name":"Zoé","planet":"Earth","allergies":[],"version":1}},"resume":"resumed","orders":[{order_json}],"deleted":[{{"order_id":7,"version":4}}],"cursor":"r7d0.7","help":"{}"}}"#,
                    words::HELP
                ),
            ),
            (ServerFrame::Order { order: &order, cursor }, format!(r#"{{"type":"order","order":{order_json},"cursor":"r7d0.7"}}"#)),
            (
                ServerFrame::Deleted { order_id: order.id, version: Version(4), cursor },
                r#"{"type":"deleted","order_id":7,"version":4,"cursor":"r7d0.7"}"#.to_owned(),
            ),
            (
                ServerFrame::Reply { id: number.clone(), reply: Reply::Order { order: Box::new(order.clone()), replayed: false } },
                format!(r#"{{"type":"reply","id":1,"order":{order_json}}}"#),
            ),
            (
                ServerFrame::Reply { id: None, reply: Reply::Order { order: Box::new(order.clone()), replayed: true } },
                format!(r#"{{"type":"reply","order":{order_json},"replayed":true}}"#),
            ),
            (
                ServerFrame::Reply { id: number.clone(), reply: Reply::Deleted { deleted: true, order_id: order.id } },
                r#"{"type":"reply","id":1,"deleted":true,"order_id":7}"#.to_owned(),
            ),
            (
                ServerFrame::Reply { id: number.clone(), reply: Reply::Orders(Page { items: vec![order.clone()], next_cursor: None }) },
                format!(r#"{{"type":"reply","id":1,"items":[{order_json}],"next_cursor":null}}"#),
            ),
            (
                ServerFrame::Reply { id: number.clone(), reply: Reply::Watching { watching: true, totals } },
                format!(r#"{{"type":"reply","id":1,"watching":true,"totals":{totals_json}}}"#),
            ),
            (
                ServerFrame::Error {
                    id: Some(CommandId::Text("a".to_owned())),
                    problem: Box::new(Problem::new(ProblemType::OrderNotFound)),
                },
                r#"{"type":"error","id":"a","problem":{"type":"/problems/order-not-found","title":"Order not found","status":404,"detail":"Order not found"}}"#.to_owned(),
            ),
            (ServerFrame::Pong { id: number }, r#"{"type":"pong","id":1}"#.to_owned()),
            (
                ServerFrame::Feed(Feed { orders: &[raw], deleted: &[], totals }),
                format!(r#"{{"type":"feed","orders":[{order_json}],"totals":{totals_json}}}"#),
            ),
            (
                ServerFrame::Resync { orders: vec![order.clone()], deleted: vec![], cursor },
                format!(r#"{{"type":"resync","orders":[{order_json}],"cursor":"r7d0.7"}}"#),
            ),
            (ServerFrame::Reconnect { after_ms: 1234 }, r#"{"type":"reconnect","after_ms":1234}"#.to_owned()),
        ];
        for (frame, golden) in cases {
            assert_eq!(frame.encode(), golden);
            let read: Value = serde_json::from_str(&golden).expect("a frame is JSON");
            assert_eq!(frame.kind(), read["type"]);
            assert_eq!(frame.cursor().map(|cursor| cursor.to_string()).as_deref(), read["cursor"].as_str());
        }
    }
}
