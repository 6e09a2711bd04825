//! Opaque positions in a list and in the order of commits, as text that clients return unread.

mod signed;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::id::MAX_ID;
use crate::{OrderId, Timestamp};
pub use signed::{CursorKey, SignedCursor};

/// The error for a text that is not a cursor of this service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorError;

/// A position in a list: the id after which the next page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageCursor(i64);

impl PageCursor {
    /// Returns the cursor of the page after the entry with this id.
    #[must_use]
    pub fn after(id: impl Into<i64>) -> Self {
        Self(id.into())
    }

    /// Returns the id after which the page begins.
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

/// A position in the order of commits. The holder of a cursor knows every change of an order that
/// was committed before `position`, however late it became visible and whatever the clocks showed.
/// Every order that could still change then has an id of at least `low_watermark`. This is the plain form,
/// for the processes of the service; clients get a [`SignedCursor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumeCursor {
    /// The moment by the database's clock: decides only whether deletions since then are kept.
    pub time: Timestamp,
    /// The smallest id of an order that could still change.
    pub low_watermark: OrderId,
    /// The position in the database's order of commits.
    pub position: i64,
}

impl ResumeCursor {
    /// A cursor that is always too old: its holder starts over.
    pub const EXPIRED: Self =
        Self { time: Timestamp::EPOCH, low_watermark: OrderId::FIRST, position: 0 };
}

impl Ord for ResumeCursor {
    fn cmp(&self, other: &Self) -> Ordering {
        // The position decides. The clock comes last, because it may step.
        let key = |cursor: &Self| (cursor.position, cursor.low_watermark, cursor.time);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for ResumeCursor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for ResumeCursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "r{:x}.{:x}.{:x}",
            self.time.millis(),
            self.low_watermark.get(),
            self.position
        )
    }
}

impl FromStr for ResumeCursor {
    type Err = CursorError;
    fn from_str(text: &str) -> Result<Self, CursorError> {
        let mut parts = text.strip_prefix('r').ok_or(CursorError)?.split('.');
        let mut part = || parts.next().and_then(hex).ok_or(CursorError);
        let (time, low_watermark, position) = (part()?, part()?, part()?);
        if parts.next().is_some() {
            return Err(CursorError);
        }
        let time = Timestamp::from_millis(time).map_err(|_| CursorError)?;
        let low_watermark = OrderId::new(low_watermark).map_err(|_| CursorError)?;
        Ok(Self { time, low_watermark, position })
    }
}

impl serde::Serialize for PageCursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The pattern of an id in hexadecimal digits, from 1 to [`MAX_ID`]: up to 53 bits.
const ID_PATTERN: &str = "(?:[1-9a-f][0-9a-f]{0,12}|1[0-9a-f]{13})";

impl PartialSchema for PageCursor {
    fn schema() -> RefOr<Schema> {
        opaque(format!("^p{ID_PATTERN}$"))
    }
}

impl ToSchema for PageCursor {}

fn opaque(pattern: String) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).build().into()
}

/// Parses lower-case hexadecimal digits without sign or leading zero: one spelling per number.
fn hex(text: &str) -> Option<i64> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits =
        !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
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
        let resume: ResumeCursor = "r1a2b3c.7.ff".parse().expect("a cursor");
        assert_eq!((resume.position, resume.to_string().as_str()), (255, "r1a2b3c.7.ff"));
    }

    #[test]
    fn the_position_comes_before_the_floor_and_the_clock_last() {
        let cursors = ["r9.9.1", "r1.1.2", "r9.1.2", "r1.2.2"]
            .map(|text| text.parse::<ResumeCursor>().expect("a cursor"));
        assert!(cursors.is_sorted() && ResumeCursor::EXPIRED < cursors[0]);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "p",
            "p0",
            "p-1",
            "p+1",
            "pFF",
            "p01",
            "pffffffffffffffff",
            "r",
            "r1",
            "r1.",
            "r.1",
            "r1.1",
            "r1.0.1",
            "r1.1.",
            "r1.1.1.1",
            "x",
        ] {
            assert_eq!(text.parse::<PageCursor>(), Err(CursorError), "{text:?}");
            assert_eq!(text.parse::<ResumeCursor>(), Err(CursorError), "{text:?}");
        }
    }
}
