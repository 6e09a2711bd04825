//! Messages for people on standard error.

use std::io::Write as _;

use galley_protocol::harmless::harmless_line;

/// Prints a message for people, or one line of JSON, on standard error. It is one line, whatever the
/// text contains. A failure to print is ignored.
pub fn note(text: &str) {
    drop(writeln!(std::io::stderr(), "{}", harmless_line(text)));
}
