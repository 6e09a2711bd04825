//! Cursors for the tests of this crate, which reads none.

use galley_protocol::{OrderId, ResumeCursor, Timestamp};

/// A cursor that is later the greater the number is.
pub(crate) fn at(number: u64) -> ResumeCursor {
    let position = i64::try_from(number).expect("it is small");
    ResumeCursor { time: Timestamp::EPOCH, floor: OrderId::FIRST, position }
}
