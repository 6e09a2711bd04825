//! The place of a request in a trace, as `traceparent` writes it (W3C Trace Context, level 1).
//!
//! A text that cannot be read is ignored, as the recommendation demands: the request then begins a
//! trace of its own. `tracestate` is not carried.

use std::fmt;

use serde::{Serialize, Serializer};

/// The id of a trace. It is written in hexadecimal digits, as logs and collectors have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(pub u128);

/// A span of a trace. It travels with a request, an entry or an update, which that span caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace; not 0.
    pub trace_id: TraceId,
    /// The span; not 0.
    pub span_id: u64,
    /// True if the spans of this trace are recorded.
    pub sampled: bool,
}

impl TraceContext {
    /// Parses `traceparent`; `None` if it cannot be read. A version above 00 may add fields.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.trim_matches([' ', '\t']).split('-');
        let version = hexadecimal(fields.next()?, 2)?;
        let trace_id = hexadecimal(fields.next()?, 32)?;
        let span_id = u64::try_from(hexadecimal(fields.next()?, 16)?).ok()?;
        let flags = hexadecimal(fields.next()?, 2)?;
        let is_known = version != 0xff && (version > 0 || fields.next().is_none());
        (is_known && trace_id != 0 && span_id != 0).then_some(Self {
            trace_id: TraceId(trace_id),
            span_id,
            sampled: flags & 1 == 1,
        })
    }

    /// Like [`TraceContext::parse`], but only of a trace that is recorded.
    #[must_use]
    pub fn parse_sampled(text: &str) -> Option<Box<Self>> {
        Self::parse(text).filter(|context| context.sampled).map(Box::new)
    }
}

/// Reads lower-case digits, exactly so many.
fn hexadecimal(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_whole = text.len() == digits && text.bytes().all(is_digit);
    is_whole.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

impl fmt::Display for TraceContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace_id, span_id, sampled } = *self;
        write!(formatter, "00-{trace_id}-{span_id:016x}-{:02x}", u8::from(sampled))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for TraceContext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::TraceContext;

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_was_read_is_written_as_it_came() {
        let context = TraceContext::parse(TEXT).expect("it is valid");
        assert!(context.sampled && context.to_string() == TEXT);
        assert_eq!(context.trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
        let unsampled = TraceContext::parse(&TEXT.replace("-01", "-00")).expect("it is valid");
        assert!(!unsampled.sampled);
        assert_eq!(TraceContext::parse_sampled(&unsampled.to_string()), None);
    }

    #[test]
    fn other_flags_and_later_versions_are_understood() {
        for text in [
            TEXT.replace("-01", "-ff"),
            TEXT.replace("00-0af", "01-0af"),
            TEXT.replace("00-0af", "fe-0af") + "-more-fields",
            format!(" {TEXT}\t"),
        ] {
            assert_eq!(TraceContext::parse(&text), TraceContext::parse(TEXT), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_right_is_ignored() {
        for text in [
            "",
            "00",
            "nonsense",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-+1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c8031\u{e9}-b7ad6b7169203331-01",
        ] {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }
}
