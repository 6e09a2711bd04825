//! A client's knowledge of its hero's orders: the highest version of each that any frame told, as
//! the protocol demands.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use galley_protocol::{Status, Timestamp};
use serde::Deserialize;

use crate::Truth;

/// The differences that a message lists; the others are only counted.
const MAX_NAMED: usize = 5;

/// The orders that a client knows.
#[derive(Clone, Debug)]
pub struct Picture {
    hero: i64,
    orders: HashMap<i64, State>,
    /// The picture must contain every change after this moment.
    since: Timestamp,
    cursor: Option<String>,
    /// The number of frames applied.
    pub frames: usize,
    /// The number of `resync` frames among them.
    pub resyncs: usize,
    /// The number of changes that a `resync` told first.
    pub told_by_resync: usize,
    /// The number of changes that a `welcome` told first.
    pub told_by_welcome: usize,
}

/// An order in one of its versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The version.
    pub version: i64,
    /// The status; `None` once the order is deleted.
    pub status: Option<Status>,
}

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The first frame.
    Welcome,
    /// A change or the deletion of one order.
    Change,
    /// The newest states of many orders.
    Resync,
    /// The gateway is stopping and closes the socket after this time.
    Reconnect(Duration),
    /// The answer to a successful command.
    Reply,
    /// The answer to a refused command.
    Refusal,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    cursor: Option<&'a str>,
    resume: Option<&'a str>,
    order: Option<Told>,
    #[serde(default)]
    orders: Vec<Told>,
    deleted: Option<Deletions>,
    order_id: Option<i64>,
    version: Option<i64>,
    after_ms: Option<u64>,
}

#[derive(Clone, Copy, Deserialize)]
struct Told {
    id: i64,
    hero_id: i64,
    version: i64,
    status: Status,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Deletions {
    Told(Vec<Gone>),
    /// In the reply to a `delete`.
    Done(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Gone {
    order_id: i64,
    version: i64,
}

impl Picture {
    /// The empty picture of a client that begins with this cursor, or without one.
    #[must_use]
    pub fn empty(hero: i64, cursor: Option<&str>) -> Self {
        let since = cursor.map_or(Timestamp::from_millis(0).expect("in range"), time_of);
        let cursor = cursor.map(str::to_owned);
        Self {
            hero,
            orders: HashMap::new(),
            since,
            cursor,
            frames: 0,
            resyncs: 0,
            told_by_resync: 0,
            told_by_welcome: 0,
        }
    }

    /// Applies a frame.
    pub fn take(&mut self, text: &str) -> News {
        let frame: Frame<'_> =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        self.frames += 1;
        let news = match frame.kind {
            "welcome" => News::Welcome,
            "order" | "deleted" => News::Change,
            "resync" => News::Resync,
            "reconnect" => {
                return News::Reconnect(Duration::from_millis(
                    frame.after_ms.expect("the hint names a time"),
                ));
            }
            "reply" => return News::Reply,
            "error" => return News::Refusal,
            _ => panic!("a hero's socket gets no such frame: {text}"),
        };
        let cursor = frame.cursor.unwrap_or_else(|| panic!("no cursor in {text}"));
        if news == News::Welcome && frame.resume != Some("resumed") {
            // Orders that ended or were deleted before are not told, and the previous knowledge of
            // the client is void.
            self.orders.clear();
            self.since = time_of(cursor);
        }
        self.cursor = Some(cursor.to_owned());
        let mut changes = 0;
        for Told { id, hero_id, version, status } in
            frame.orders.iter().chain(&frame.order).copied()
        {
            assert_eq!(hero_id, self.hero, "an order of somebody else: {text}");
            changes += self.learn(id, State { version, status: Some(status) });
        }
        if let Some(Deletions::Told(deleted)) = frame.deleted {
            changes += deleted
                .iter()
                .map(|gone| self.learn(gone.order_id, gone.as_state()))
                .sum::<usize>();
        }
        if let (Some(order_id), Some(version)) = (frame.order_id, frame.version) {
            changes += self.learn(order_id, State { version, status: None });
        }
        match news {
            News::Welcome => self.told_by_welcome += changes,
            News::Resync => {
                self.resyncs += 1;
                self.told_by_resync += changes;
            }
            News::Change | News::Reconnect(_) | News::Reply | News::Refusal => {}
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

    /// The state of an order; `None` if the client does not know it.
    #[must_use]
    pub fn state_of(&self, order_id: i64) -> Option<State> {
        self.orders.get(&order_id).copied()
    }

    /// The differences from the database; `None` if both agree on every order that the client had
    /// to be told of.
    #[must_use]
    pub fn difference(&self, truth: &Truth) -> Option<String> {
        let stored = truth.of(self.hero);
        let untold = stored
            .iter()
            .filter(|(id, stored)| stored.changed > self.since && !self.orders.contains_key(id));
        let untold = untold.map(|(id, stored)| (*id, Some(stored.state), None));
        let stale = self.orders.iter().filter_map(|(id, seen)| {
            let is = stored.get(id).map(|stored| stored.state);
            let agrees = is.map_or(seen.status.is_none(), |is| is == *seen);
            (!agrees).then_some((*id, is, Some(*seen)))
        });
        let mut differences: Vec<_> = untold.chain(stale).collect();
        if differences.is_empty() {
            return None;
        }
        differences.sort_unstable_by_key(|(id, ..)| *id);
        let mut text = format!(
            "{} of {} orders of hero {} differ",
            differences.len(),
            stored.len(),
            self.hero
        );
        for (id, is, seen) in differences.iter().take(MAX_NAMED) {
            write!(text, "; order {id} is {is:?}, the client knows {seen:?}")
                .expect("writing to memory does not fail");
        }
        Some(text)
    }

    /// Adds a state; returns the number of new changes, 1 or 0.
    fn learn(&mut self, id: i64, told: State) -> usize {
        let known = self.orders.entry(id).or_insert(State { version: 0, status: None });
        if known.version == told.version {
            assert_eq!(*known, told, "one version of order {id} has two states");
        }
        let is_news = told.version > known.version;
        if is_news {
            *known = told;
        }
        usize::from(is_news)
    }
}

impl Gone {
    fn as_state(&self) -> State {
        State { version: self.version, status: None }
    }
}

/// The moment of a cursor, in its bytes 5 to 12. Only a checker may read it: to clients a cursor is
/// opaque.
fn time_of(cursor: &str) -> Timestamp {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).unwrap_or_else(|error| panic!("{cursor}: {error}"));
    let millis = i64::from_be_bytes(*bytes[5..].first_chunk().expect("a time"));
    Timestamp::from_millis(millis).expect("in range")
}
