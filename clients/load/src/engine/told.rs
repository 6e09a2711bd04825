//! What a frame of the gateway tells, read just far enough to check it.
//!
//! `galley_protocol::frame::Received` knows all there is; here a frame costs as little as it can,
//! for the client shares the machine with what it measures.

use std::borrow::Cow;

use galley_protocol::{Status, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A frame.
#[derive(Debug, Deserialize)]
pub struct Told<'a> {
    /// The kind.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The id of the command that it answers.
    #[serde(borrow)]
    pub id: Option<&'a RawValue>,
    /// The order of an update or a reply.
    pub order: Option<State>,
    /// The orders of a welcome, a resync or the staff feed.
    #[serde(default)]
    pub orders: Vec<State>,
    /// Where to resume.
    #[serde(borrow)]
    pub cursor: Option<&'a str>,
    /// How the socket began.
    pub resume: Option<Resume>,
    /// Why a command was not carried out.
    #[serde(borrow)]
    pub problem: Option<Problem<'a>>,
}

/// The types of frames that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The first.
    Welcome,
    /// A transition.
    Order,
    /// States that were merged.
    Resync,
    /// The staff feed.
    Feed,
    /// A command was carried out.
    Reply,
    /// A command was not carried out.
    Error,
    /// Any other.
    #[serde(other)]
    Other,
}

/// How a socket began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resume {
    /// Without a cursor.
    Fresh,
    /// Nothing is missing.
    Resumed,
    /// Of what ended meanwhile some was not told.
    Resynced,
    /// Of a later version.
    #[serde(other)]
    Other,
}

/// A state of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct State {
    /// The order.
    pub id: i64,
    /// Whose.
    pub hero_id: i64,
    /// The number of the state.
    pub version: i32,
    /// Where it stands.
    pub status: Status,
    /// When it was accepted.
    pub order_time: Timestamp,
    /// When a worker took it.
    pub started_time: Option<Timestamp>,
    /// When it ended.
    pub completed_time: Option<Timestamp>,
}

/// A problem, for counting.
#[derive(Debug, Deserialize)]
pub struct Problem<'a> {
    /// Its type, a path.
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'a, str>,
    /// When to try again.
    pub retry_after_ms: Option<u64>,
}

impl Told<'_> {
    /// The number of the command that it answers; this program gives its commands numbers.
    pub fn number(&self) -> Option<u64> {
        self.id?.get().parse().ok()
    }
}

impl State {
    /// When it came into this state, in milliseconds since 1970.
    pub fn changed(&self) -> i64 {
        self.completed_time.or(self.started_time).unwrap_or(self.order_time).millis()
    }

    /// How long its preparation took, in milliseconds.
    pub fn preparation(&self) -> i64 {
        self.completed_time
            .zip(self.started_time)
            .map_or(0, |(end, start)| end.millis() - start.millis())
    }

    /// Returns true if it can change no more.
    pub fn has_ended(&self) -> bool {
        !self.status.is_active()
    }
}

impl Problem<'_> {
    /// The last part of its type.
    pub fn slug(&self) -> &str {
        self.kind.rsplit('/').next().unwrap_or_default()
    }
}

/// Returns true if a frame is a welcome, without reading all of it: the gateway writes the type
/// first.
pub fn is_welcome(frame: &[u8]) -> bool {
    frame.starts_with(br#"{"type":"welcome""#)
}

#[cfg(test)]
mod tests {
    use galley_protocol::frame::{Received, server};

    use super::{Kind, Told, is_welcome};

    #[test]
    fn every_pinned_frame_is_read_as_the_protocol_reads_it() {
        for line in server::PINNED.lines() {
            let told: Told<'_> =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let received: Received = serde_json::from_str(line).expect("the protocol knows it");
            let versions: Vec<_> = told
                .order
                .iter()
                .chain(&told.orders)
                .map(|state| (state.id, state.version))
                .collect();
            let expected: Vec<_> =
                received.orders().iter().map(|order| (order.id.get(), order.version.0)).collect();
            assert_eq!(versions, expected, "{line}");
            let times: Vec<_> =
                told.order.iter().chain(&told.orders).map(super::State::changed).collect();
            let expected: Vec<_> =
                received.orders().iter().map(|order| order.changed_time().millis()).collect();
            assert_eq!(times, expected, "{line}");
            assert_eq!(told.cursor, received.cursor(), "{line}");
            assert_eq!(is_welcome(line.as_bytes()), told.kind == Kind::Welcome, "{line}");
        }
    }
}
