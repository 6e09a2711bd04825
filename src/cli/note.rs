//! Messages for people on standard error.

use std::io::Write as _;

/// Prints a message for people on standard error. A failure to print is ignored.
pub fn note(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}
