//! Frames of the gateway, parsed only as far as the checks need.
//!
//! `galley_protocol::frame::Received` parses everything. Here a frame must cost as little as
//! possible, because the client shares the machine with the gateway that it measures.

use std::borrow::Cow;

use galley_protocol::{Status, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Debug, Deserialize)]
pub struct ReceivedFrame<'a> {
    #[serde(rename = "type")]
    pub kind: FrameKind,
    /// The id of the command that it answers.
    #[serde(borrow)]
    pub id: Option<&'a RawValue>,
    /// The order of an update or a reply.
    pub order: Option<ReceivedState>,
    /// The orders of a welcome, a resync or the staff feed.
    #[serde(default)]
    pub orders: Vec<ReceivedState>,
    #[serde(borrow)]
    pub cursor: Option<&'a str>,
    /// The kind of start of the socket; only in a welcome.
    pub resume: Option<ResumeKind>,
    #[serde(borrow)]
    pub problem: Option<ProblemFrame<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameKind {
    Welcome,
    /// One transition of an order.
    Order,
    /// The newest states of several orders, where older ones were dropped.
    Resync,
    Feed,
    /// The answer to a successful command.
    Reply,
    /// The answer to a failed command.
    Error,
    #[serde(other)]
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResumeKind {
    /// Started without a cursor.
    Fresh,
    /// Resumed: nothing is missing.
    Resumed,
    /// Restarted: the active orders are complete, but orders that ended meanwhile may be missing.
    Resynced,
    /// Unknown to this version.
    #[serde(other)]
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct ReceivedState {
    pub id: i64,
    pub hero_id: i64,
    pub version: i32,
    pub status: Status,
    /// The time at which the order was accepted.
    pub order_time: Timestamp,
    /// The time at which a worker claimed it.
    pub started_time: Option<Timestamp>,
    /// The time at which it ended.
    pub completed_time: Option<Timestamp>,
}

/// A problem, as far as it is counted.
#[derive(Debug, Deserialize)]
pub struct ProblemFrame<'a> {
    /// The type, as a path.
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'a, str>,
    pub retry_after_ms: Option<u64>,
}

impl ReceivedFrame<'_> {
    /// Returns the number of the command that it answers. This program uses numbers as ids.
    pub fn number(&self) -> Option<u64> {
        self.id?.get().parse().ok()
    }
}

impl ReceivedState {
    /// Returns the time of the last transition, in milliseconds since 1970.
    pub fn changed(&self) -> i64 {
        self.completed_time.or(self.started_time).unwrap_or(self.order_time).millis()
    }

    /// Returns the duration of the preparation, in milliseconds.
    pub fn preparation(&self) -> i64 {
        self.completed_time
            .zip(self.started_time)
            .map_or(0, |(end, start)| end.millis() - start.millis())
    }

    pub fn has_ended(&self) -> bool {
        !self.status.is_active()
    }
}

impl ProblemFrame<'_> {
    /// Returns the last segment of the type.
    pub fn slug(&self) -> &str {
        self.kind.rsplit('/').next().unwrap_or_default()
    }
}

/// Returns true if a frame is a welcome, by its beginning: the gateway writes the type first.
pub fn is_welcome(frame: &[u8]) -> bool {
    frame.starts_with(br#"{"type":"welcome""#)
}

#[cfg(test)]
mod tests {
    use galley_protocol::frame::{Received, server};

    use super::{FrameKind, ReceivedFrame, is_welcome};

    #[test]
    fn every_pinned_frame_is_read_as_the_protocol_reads_it() {
        for line in server::PINNED.lines() {
            let frame: ReceivedFrame<'_> =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let received: Received = serde_json::from_str(line).expect("the protocol knows it");
            let versions: Vec<_> = frame
                .order
                .iter()
                .chain(&frame.orders)
                .map(|state| (state.id, state.version))
                .collect();
            let expected: Vec<_> =
                received.orders().iter().map(|order| (order.id.get(), order.version.0)).collect();
            assert_eq!(versions, expected, "{line}");
            let times: Vec<_> = frame
                .order
                .iter()
                .chain(&frame.orders)
                .map(super::ReceivedState::changed)
                .collect();
            let expected: Vec<_> =
                received.orders().iter().map(|order| order.changed_time().millis()).collect();
            assert_eq!(times, expected, "{line}");
            assert_eq!(frame.cursor, received.cursor(), "{line}");
            assert_eq!(is_welcome(line.as_bytes()), frame.kind == FrameKind::Welcome, "{line}");
        }
    }
}
