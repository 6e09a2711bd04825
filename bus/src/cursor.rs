//! Cursors for the tests of this crate, which reads none.

use galley_protocol::ResumeCursor;

/// A cursor that is later the greater the number is.
pub(crate) fn at(number: u64) -> ResumeCursor {
    let text = format!("r{number:x}.1");
    text.parse().expect("a cursor")
}
