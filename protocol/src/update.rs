//! The messages between processes. Each says "this order changed" and contains the frame for the
//! client, encoded except for its cursor.
//!
//! A message on the bus consists of lines of text, which a person can read with `SUBSCRIBE`:
//!
//! ```text
//! galley3 <publisher> <running number> [traceparent=<line>:<context>]
//! <hero> <order> <version> <status or -> <time> <frame>
//! ```
//!
//! A frame is one line of JSON. JSON escapes line feeds, so a line feed ends an update. Each
//! gateway has its own cursor, and puts it in place of the last brace.
//!
//! Programs of two versions share the bus while they are replaced, so messages only grow. A reader
//! passes over additional words, additional fields of a frame, frames of unknown types and messages
//! of unknown kinds. Words are appended to the first line, before its signature
//! ([`message_keys`](crate::message_keys)), or stand before the frame.

use std::borrow::Cow;
use std::collections::HashMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    Deleted, HeroId, Order, OrderId, PublisherId, SignedCursor, Status, Timestamp, TraceContext,
    Version,
};

const MAGIC: &str = "galley3";
/// The beginning of the words of the first line that name the span of an update, by its line: the
/// first update has line 0. There the version before passes over them.
const TRACE: &str = "traceparent=";

/// The greatest running number of a message. A publisher that sends a thousand messages a second
/// reaches it after nine thousand years; a greater number would hide every loss.
pub const MAX_NUMBER: u64 = 1 << 48;

/// A change of one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The hero whose sockets receive it.
    pub hero_id: HeroId,
    /// The order.
    pub order_id: OrderId,
    /// The version of the new state.
    pub version: Version,
    /// The new status; `None` if the order was deleted.
    pub status: Option<Status>,
    /// The moment of the change, by the database's clock.
    pub time: Timestamp,
    /// The frame for the client without its cursor, UTF-8, one line; it ends with a brace.
    pub frame: Bytes,
    /// The span that made the change, if its trace is recorded.
    pub trace: Option<Box<TraceContext>>,
}

/// The updates that one process published in one message on one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateBatch {
    /// The process that published it.
    pub publisher: PublisherId,
    /// 1, 2, 3 … per publisher and channel: a gap shows that a message was lost.
    pub number: u64,
    /// The changes, in the order of their commit.
    pub updates: Vec<Update>,
}

/// The error for a message that is not a batch of updates.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum UpdateError {
    /// A message of another kind, perhaps of a newer version.
    #[error("a message of an unknown kind")]
    UnknownKind,
    /// A batch of updates that cannot be read.
    #[error("not a message of updates: {0}")]
    Malformed(&'static str),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum BusFrame<'a> {
    Order { order: &'a Order },
    Deleted { order_id: OrderId, version: Version },
}

/// The fields of a received frame that the words before it repeat.
#[derive(Deserialize)]
struct BusFrameFields<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    order: Option<BusFrameOrder>,
    order_id: Option<OrderId>,
    version: Option<Version>,
}

#[derive(Deserialize)]
struct BusFrameType<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct BusFrameOrder {
    id: OrderId,
    hero_id: HeroId,
    version: Version,
    status: Status,
}

impl BusFrame<'_> {
    fn encode(&self) -> Bytes {
        serde_json::to_vec(self)
            .expect("a frame has string keys only and no number that JSON lacks")
            .into()
    }
}

impl Update {
    /// Creates the update for a new state.
    #[must_use]
    pub fn of(order: &Order) -> Self {
        Self {
            hero_id: order.hero_id,
            order_id: order.id,
            version: order.version,
            status: Some(order.status),
            time: order.changed_time(),
            frame: BusFrame::Order { order }.encode(),
            trace: None,
        }
    }

    /// Creates the update for a deletion.
    #[must_use]
    pub fn of_deleted(deleted: Deleted, hero_id: HeroId, time: Timestamp) -> Self {
        let Deleted { order_id, version } = deleted;
        let frame = BusFrame::Deleted { order_id, version }.encode();
        Self { hero_id, order_id, version, status: None, time, frame, trace: None }
    }

    /// Adds the span that made the change.
    #[must_use]
    pub fn traced(self, trace: Option<TraceContext>) -> Self {
        Self { trace: trace.map(Box::new), ..self }
    }

    /// Returns the JSON of the order in the frame; `None` if it was deleted or is malformed.
    #[must_use]
    pub fn order_json(&self) -> Option<&[u8]> {
        let order = self.frame.strip_prefix(br#"{"type":"order","order":"#)?.strip_suffix(b"}")?;
        (!order.is_empty()).then_some(order)
    }

    /// Returns the frame without its last brace, which [`Update::ending`] replaces.
    #[must_use]
    pub fn beginning(&self) -> &[u8] {
        self.frame.strip_suffix(b"}").unwrap_or(&self.frame)
    }

    /// Returns the end of a frame with this cursor.
    #[must_use]
    pub fn ending(cursor: &SignedCursor) -> Bytes {
        format!(r#","cursor":"{cursor}"}}"#).into()
    }
}

impl UpdateBatch {
    /// Returns the message on the bus.
    #[must_use]
    pub fn encode(publisher: PublisherId, number: u64, updates: &[Update]) -> Vec<u8> {
        use std::io::Write as _;
        // The additional bytes are an estimate of the words before each frame.
        let size: usize = updates.iter().map(|update| update.frame.len() + 64).sum();
        let mut message = Vec::with_capacity(size + 64);
        let head = |message: &mut Vec<u8>, line: std::fmt::Arguments<'_>| {
            message.write_fmt(line).expect("writing to memory does not fail");
        };
        head(&mut message, format_args!("{MAGIC} {publisher} {number}"));
        for (line, update) in updates.iter().enumerate() {
            if let Some(trace) = &update.trace {
                head(&mut message, format_args!(" {TRACE}{line}:{trace}"));
            }
        }
        message.push(b'\n');
        for Update { hero_id, order_id, version, status, time, frame, .. } in updates {
            let status = status.map_or("-", Status::as_str);
            head(
                &mut message,
                format_args!("{hero_id} {order_id} {version} {status} {} ", time.millis()),
            );
            message.extend_from_slice(frame);
            message.push(b'\n');
        }
        message
    }

    /// Decodes a message. The frames share its memory.
    ///
    /// # Errors
    /// [`UpdateError`] for any other message. Never panics, whatever the bytes.
    pub fn decode(message: &Bytes) -> Result<Self, UpdateError> {
        use UpdateError::{Malformed, UnknownKind};
        let text = std::str::from_utf8(message).map_err(|_| Malformed("not UTF-8"))?;
        let mut lines = text.split_terminator('\n');
        let mut head = lines.next().ok_or(Malformed("empty"))?.split(' ');
        match head.next() {
            Some(MAGIC) => {}
            // A heartbeat that could be read is not given to this function.
            Some(kind) if kind.starts_with("galley") && !kind.starts_with("galley3-b") => {
                return Err(UnknownKind);
            }
            _ => return Err(Malformed("unknown head")),
        }
        let mut word = || head.next().ok_or(Malformed("bad head"));
        let publisher = word()?.parse().map_err(|_| Malformed("bad head"))?;
        let number = word()?.parse().map_err(|_| Malformed("bad head"))?;
        if number > MAX_NUMBER {
            return Err(Malformed("an impossible number"));
        }
        let mut traces: HashMap<usize, Box<TraceContext>> = head.filter_map(trace).collect();
        let mut updates = Vec::new();
        for (at, line) in lines.enumerate() {
            let update = decode_update(message, line)?;
            // Usually nothing is traced, and nothing is looked up.
            let trace = if traces.is_empty() { None } else { traces.remove(&at) };
            updates.extend(update.map(|update| Update { trace, ..update }));
        }
        Ok(Self { publisher, number, updates })
    }
}

/// Returns the span of an update with its line, if the word of the first line names one.
fn trace(word: &str) -> Option<(usize, Box<TraceContext>)> {
    let (line, context) = word.strip_prefix(TRACE)?.split_once(':')?;
    Some((line.parse().ok()?, TraceContext::parse_sampled(context)?))
}

/// Returns `None` for a frame of an unknown type.
fn decode_update(message: &Bytes, line: &str) -> Result<Option<Update>, UpdateError> {
    let malformed = UpdateError::Malformed("bad update");
    // Words contain no brace, and a frame begins with one.
    let (words, frame) = line.split_at(line.find('{').ok_or(malformed)?);
    let read = serde_json::from_str::<BusFrameFields<'_>>(frame).map_err(|_| malformed);
    // A frame of an unknown type may use the names of fields for something else.
    let kind = match &read {
        Ok(read) => read.kind.clone(),
        Err(_) => serde_json::from_str::<BusFrameType<'_>>(frame).map_err(|_| malformed)?.kind,
    };
    if !matches!(&*kind, "order" | "deleted") {
        tracing::debug!(kind = &*kind, "an update of an unknown type is passed over");
        return Ok(None);
    }
    let update = read_update(words, read?, message.slice_ref(frame.as_bytes()));
    update.map(Some).ok_or(malformed)
}

fn read_update(words: &str, read: BusFrameFields<'_>, frame: Bytes) -> Option<Update> {
    let mut words = words.split(' ');
    let hero_id = words.next()?.parse().ok()?;
    let order_id = words.next()?.parse().ok()?;
    let version = Version(words.next()?.parse().ok()?);
    let status = match words.next()? {
        "-" => None,
        word => Some(word.parse().ok()?),
    };
    let time = Timestamp::from_millis(words.next()?.parse().ok()?).ok()?;
    let same = match (read.order, status) {
        (Some(order), Some(status)) => {
            (order.id, order.hero_id, order.version, order.status)
                == (order_id, hero_id, version, status)
        }
        (None, None) => (read.order_id, read.version) == (Some(order_id), Some(version)),
        _ => false,
    };
    // A socket that was given an impossible version would ignore all true ones.
    let is_possible = same && Status::versions(status).contains(&version.0);
    is_possible.then_some(Update { hero_id, order_id, version, status, time, frame, trace: None })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Update, UpdateBatch, UpdateError};
    use crate::frame::ServerFrame;
    use crate::{
        CursorKey, Deleted, HeroId, MealId, Order, OrderId, PlaceOrder, PublisherId, ResumeCursor,
        Timestamp, TraceContext, TraceId, Version,
    };

    fn publisher(number: i32) -> PublisherId {
        PublisherId::new(number).expect("an id")
    }

    fn order() -> Order {
        let (hero_id, meal_id) = (HeroId::new(1).expect("an id"), MealId::new(2).expect("an id"));
        let time = Timestamp::from_millis(5).expect("in range");
        let placed =
            Order::placed(OrderId::new(7).expect("an id"), hero_id, &PlaceOrder::of(meal_id), time);
        Order { message: Some("two\nlines".to_owned()), ..placed }
    }

    fn updates() -> Vec<Update> {
        let order = order();
        let deleted = Deleted { order_id: order.id, version: Version(4) };
        let trace = TraceContext { trace_id: TraceId(1), span_id: 2, sampled: true };
        vec![
            Update::of(&order).traced(Some(trace)),
            Update::of_deleted(deleted, order.hero_id, order.order_time),
        ]
    }

    #[test]
    fn a_batch_leads_back_to_where_it_came_from() {
        let updates = updates();
        let message = Bytes::from(UpdateBatch::encode(publisher(i32::MAX), 9, &updates));
        let batch = UpdateBatch::decode(&message).expect("a batch");
        assert_eq!(
            batch,
            UpdateBatch { publisher: publisher(i32::MAX), number: 9, updates: updates.clone() }
        );
        assert_eq!(updates[1].order_json(), None);
        let empty = UpdateBatch::decode(&UpdateBatch::encode(publisher(1), 1, &[]).into())
            .expect("a batch");
        assert!(empty.updates.is_empty());
    }

    #[test]
    fn the_order_is_a_part_of_the_frame_whatever_people_write() {
        for message in ["two\nlines", r#""}"#, r#"\"}}\"#, ""] {
            let order = Order { message: Some(message.to_owned()), ..order() };
            let update = Update::of(&order);
            let json = update.order_json().expect("an order");
            assert_eq!(serde_json::from_slice::<Order>(json).expect("JSON"), order);
        }
        for strange in [&b"{}"[..], br#"{"type":"order","order":}"#] {
            let strange = Update { frame: Bytes::from_static(strange), ..updates().remove(0) };
            assert_eq!(strange.order_json(), None);
        }
    }

    #[test]
    fn with_a_cursor_it_is_the_frame_of_the_gateway() {
        let cursor = CursorKey::new(1, b"secret").sign(ResumeCursor::EXPIRED);
        let order = order();
        let frames = [
            ServerFrame::Order { order: &order, cursor },
            ServerFrame::Deleted { order_id: order.id, version: Version(4), cursor },
        ];
        for (update, frame) in updates().iter().zip(frames) {
            assert_eq!(
                [update.beginning(), &Update::ending(&cursor)].concat(),
                frame.encode().as_bytes()
            );
        }
    }

    #[test]
    fn a_newer_version_may_add_words_fields_types_and_kinds() {
        let frame = r#"{"type":"order","order":{"id":7,"hero_id":1,"version":1,"status":"PENDING","x":{}},"y":[]}"#;
        let message = format!(
            "galley3 1 9 more words\n1 7 1 PENDING 5 word more {frame}\n{}\n",
            r#"word {"type":"thanks","order":7}"#
        );
        let batch = UpdateBatch::decode(&message.into()).expect("a batch");
        assert_eq!((batch.number, batch.updates.len()), (9, 1));
        assert_eq!(batch.updates[0].frame, frame);
        for kind in ["galley3-census 7 1 -", "galley4 1 9\n1 2 3\n"] {
            let read = UpdateBatch::decode(&Bytes::from_static(kind.as_bytes()));
            assert_eq!(read, Err(UpdateError::UnknownKind), "{kind}");
        }
    }

    #[test]
    fn an_update_that_cannot_be_true_is_refused() {
        let order = updates().remove(0);
        let deleted = updates().remove(1);
        for wrong in [
            Update { version: Version(i32::MAX), ..order.clone() },
            Update { order_id: OrderId::new(8).expect("an id"), ..order.clone() },
            Update { hero_id: HeroId::new(8).expect("an id"), ..order.clone() },
            Update { status: Some(crate::Status::Completed), ..order.clone() },
            Update { status: None, ..order.clone() },
            Update { version: Version(3), ..deleted.clone() },
            Update { frame: deleted.frame.clone(), ..order.clone() },
            Update { frame: Bytes::from_static(b"{\"type\":\"order\",}"), ..order.clone() },
            Update {
                frame: String::from_utf8_lossy(&order.frame)
                    .replace(":1,\"order", ":9,\"order")
                    .into(),
                version: Version(9),
                ..order
            },
        ] {
            let message = UpdateBatch::encode(publisher(1), 1, std::slice::from_ref(&wrong));
            let read = UpdateBatch::decode(&message.into());
            assert!(matches!(read, Err(UpdateError::Malformed(_))), "{wrong:?}");
        }
    }

    #[test]
    fn garbage_is_refused() {
        let garbage = b"|\n|galley3 1 18446744073709551615\n|galley3|galley3 1|galley3 1 x\n|galley2 1 1\n|galley3 0 1\n|\
            galley3 2147483648 1\n|\xff|galley3 1 1\n1 2 3\n|galley3 1 1\n0 2 3 - 5 {}\n|\
            galley3 1 1\n1 2 3 - {} {}\n";
        for garbage in garbage.split(|&byte| byte == b'|') {
            assert!(UpdateBatch::decode(&Bytes::copy_from_slice(garbage)).is_err(), "{garbage:?}");
        }
    }
}
