//! Parses the answers of stream commands by hand. The types of redis-rs reject a whole answer if
//! one entry is not UTF-8, so that one such entry would stop the queue.

use galley_protocol::{OrderId, TraceContext};
use redis::{ErrorKind, RedisError, RedisResult, Value};

use super::redis_names::{FIELD, TRACE_FIELD};

/// An entry of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RawEntry {
    /// Its id in the stream.
    pub(super) id: String,
    /// The order, unless the entry is malformed.
    pub(super) order_id: Option<OrderId>,
    /// The span that placed the order, if its trace is recorded.
    pub(super) trace: Option<Box<TraceContext>>,
}

/// Returns the entries in the answer of XREADGROUP on one stream; none if it timed out.
pub(super) fn read(answer: &Value) -> RedisResult<Vec<RawEntry>> {
    // A map in RESP3, an array in RESP2.
    if let Value::Map(streams) = answer {
        return streams.first().map_or(Ok(Vec::new()), |(_, list)| entries(list));
    }
    if *answer == Value::Nil {
        return Ok(Vec::new());
    }
    match items(answer)?.first() {
        None => Ok(Vec::new()),
        Some(stream) => entries(items(stream)?.get(1).ok_or_else(strange)?),
    }
}

/// Returns the entries in the answer of XAUTOCLAIM.
pub(super) fn reclaimed(answer: &Value) -> RedisResult<Vec<RawEntry>> {
    entries(items(answer)?.get(1).ok_or_else(strange)?)
}

/// Returns every text within an answer, at any depth.
pub(super) fn texts(answer: &Value) -> Vec<&str> {
    if let Value::Map(pairs) = answer {
        return pairs.iter().flat_map(|(_, value)| texts(value)).collect();
    }
    answer.as_sequence().map_or_else(
        || text(answer).into_iter().collect(),
        |parts| parts.iter().flat_map(texts).collect(),
    )
}

fn entries(list: &Value) -> RedisResult<Vec<RawEntry>> {
    items(list)?.iter().filter(|value| **value != Value::Nil).map(entry).collect()
}

fn entry(value: &Value) -> RedisResult<RawEntry> {
    let parts = items(value)?;
    let id = parts.first().and_then(text).ok_or_else(strange)?.to_owned();
    let fields = parts.get(1).and_then(Value::as_sequence).unwrap_or_default();
    // Other fields may come from a newer version.
    let mut ids = fields.chunks_exact(2).filter(|pair| text(&pair[0]) == Some(FIELD));
    let mut others = fields.chunks_exact(2);
    let trace = others.find(|pair| text(&pair[0]) == Some(TRACE_FIELD));
    let trace = trace.and_then(|pair| TraceContext::parse_sampled(text(&pair[1])?));
    let order_id = match (ids.next(), ids.next()) {
        (Some(pair), None) => text(&pair[1]).and_then(|id| id.parse().ok()),
        _ => None,
    };
    Ok(RawEntry { id, order_id, trace })
}

fn items(value: &Value) -> RedisResult<&[Value]> {
    value.as_sequence().ok_or_else(strange)
}

fn text(value: &Value) -> Option<&str> {
    if let Value::BulkString(bytes) = value {
        return std::str::from_utf8(bytes).ok();
    }
    if let Value::SimpleString(text) | Value::VerbatimString { text, .. } = value {
        Some(text)
    } else {
        None
    }
}

fn strange() -> RedisError {
    (ErrorKind::UnexpectedReturnType, "not an answer of a stream").into()
}

#[cfg(test)]
mod tests {
    use galley_protocol::{OrderId, TraceContext, TraceId};
    use redis::Value;

    use super::{RawEntry, read};

    fn bulk(text: &[u8]) -> Value {
        Value::BulkString(text.to_vec())
    }

    fn entry(id: &str, fields: &[&[u8]]) -> Value {
        Value::Array(vec![
            bulk(id.as_bytes()),
            Value::Array(fields.iter().map(|field| bulk(field)).collect()),
        ])
    }

    #[test]
    fn an_entry_carries_the_trace_of_its_order() {
        let trace = TraceContext { trace_id: TraceId(1), span_id: 2, sampled: true };
        let [sampled, unsampled] =
            [true, false].map(|sampled| TraceContext { sampled, ..trace }.to_string());
        let list = vec![
            entry("1-0", &[b"o", b"7", b"traceparent", sampled.as_bytes()]),
            entry("2-0", &[b"traceparent", unsampled.as_bytes(), b"o", b"7"]),
        ];
        let answer = Value::Array(vec![Value::Array(vec![bulk(b"stream"), Value::Array(list)])]);
        let entries = read(&answer).expect("entries");
        let traces: Vec<_> = entries.iter().map(|entry| entry.trace.as_deref().copied()).collect();
        assert_eq!(traces, [Some(trace), None]);
        assert!(entries.iter().all(|entry| entry.order_id.is_some()));
    }

    #[test]
    fn a_malformed_entry_spoils_nothing_but_itself() {
        let list = vec![
            entry("1-0", &[b"o", b"7"]),
            entry("2-0", &[b"\xff", b"\xff"]),
            entry("3-0", &[b"o", b"-7"]),
            entry("4-0", &[b"x", b"\xff", b"o", b"7", b"traceparent", b"y"]),
            entry("6-0", &[b"o", b"7", b"o", b"8"]),
            Value::Array(vec![bulk(b"5-0"), Value::Nil]),
        ];
        let answer = Value::Array(vec![Value::Array(vec![bulk(b"stream"), Value::Array(list)])]);
        let entries = read(&answer).expect("entries");
        let raw = |id: &str, order_id| RawEntry { id: id.to_owned(), order_id, trace: None };
        let seven = OrderId::new(7).expect("an id");
        let expected = [
            raw("1-0", Some(seven)),
            raw("2-0", None),
            raw("3-0", None),
            raw("4-0", Some(seven)),
            raw("6-0", None),
            raw("5-0", None),
        ];
        assert_eq!(entries, expected);
        assert!(read(&Value::Int(1)).is_err());
        assert_eq!(read(&Value::Nil), Ok(Vec::new()));
    }
}
