//! Cursors for the tests of this crate.

use galley_protocol::{OrderId, ResumeCursor, Timestamp};

/// Returns a cursor; a greater number makes a later one.
pub(crate) fn at(number: u64) -> ResumeCursor {
    let position = i64::try_from(number).expect("it is small");
    ResumeCursor { time: Timestamp::EPOCH, low_watermark: OrderId::FIRST, position }
}
