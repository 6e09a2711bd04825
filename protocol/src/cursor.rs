//! Opaque places in a list and in time, as text that clients hand back unread.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::id::MAX_ID;
use crate::{OrderId, Timestamp};

/// The text is not a cursor that this service gave out.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("must be a cursor from an earlier answer")]
pub struct CursorError;

/// A place in a list: the id after which the next page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageCursor(i64);

impl PageCursor {
    /// The page after the entry with this id.
    #[must_use]
    pub fn after(id: impl Into<i64>) -> Self {
        Self(id.into())
    }

    /// The id after which the page begins.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for PageCursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "p{:x}", self.0)
    }
}

impl FromStr for PageCursor {
    type Err = CursorError;
    fn from_str(text: &str) -> Result<Self, CursorError> {
        let id = text.strip_prefix('p').and_then(hex).ok_or(CursorError)?;
        if (1..=MAX_ID).contains(&id) { Ok(Self(id)) } else { Err(CursorError) }
    }
}

/// A place in time: a moment of the database's clock, and the floor of that moment. Every change of an order that
/// committed before the margin ahead of `time` is known to whoever holds this cursor; every order that could still change
/// then has an id of at least `floor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResumeCursor {
    /// The moment, by the database's clock.
    pub time: Timestamp,
    /// The smallest id of an order that could still change at that moment.
    pub floor: OrderId,
}

impl fmt::Display for ResumeCursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "r{:x}.{:x}", self.time.millis(), self.floor.get())
    }
}

impl FromStr for ResumeCursor {
    type Err = CursorError;
    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (time, floor) = text.strip_prefix('r').and_then(|rest| rest.split_once('.')).ok_or(CursorError)?;
        let time = hex(time).and_then(|millis| Timestamp::from_millis(millis).ok()).ok_or(CursorError)?;
        let floor = hex(floor).and_then(|floor| OrderId::new(floor).ok()).ok_or(CursorError)?;
        Ok(Self { time, floor })
    }
}

impl serde::Serialize for ResumeCursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ResumeCursor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl serde::Serialize for PageCursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An id in hexadecimal digits, from 1 to [`MAX_ID`]: up to 53 bits.
const ID_PATTERN: &str = "(?:[1-9a-f][0-9a-f]{0,12}|1[0-9a-f]{13})";

impl PartialSchema for PageCursor {
    fn schema() -> RefOr<Schema> {
        opaque(format!("^p{ID_PATTERN}$"))
    }
}

impl ToSchema for PageCursor {}

impl PartialSchema for ResumeCursor {
    fn schema() -> RefOr<Schema> {
        opaque(format!(r"^r(?:0|[1-9a-f][0-9a-f]{{0,11}})\.{ID_PATTERN}$"))
    }
}

impl ToSchema for ResumeCursor {}

fn opaque(pattern: String) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).build().into()
}

/// Lower-case hexadecimal digits without a sign or a leading zero: one number has one spelling.
fn hex(text: &str) -> Option<i64> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if canonical && digits { i64::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::{CursorError, PageCursor, ResumeCursor};

    #[test]
    fn cursors_lead_back_to_where_they_came_from() {
        let page = PageCursor::after(255);
        assert_eq!(page.to_string(), "pff");
        assert_eq!(page.to_string().parse(), Ok(page));
        let resume: ResumeCursor = "r1a2b3c.7".parse().expect("a cursor");
        assert_eq!(resume.to_string(), "r1a2b3c.7");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "p", "p0", "p-1", "p+1", "pFF", "p01", "pffffffffffffffff", "r", "r1", "r1.", "r.1", "r1.0", "r1.1.1", "x"]
        {
            assert_eq!(text.parse::<PageCursor>(), Err(CursorError), "{text:?}");
            assert_eq!(text.parse::<ResumeCursor>(), Err(CursorError), "{text:?}");
        }
    }
}
