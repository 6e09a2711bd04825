//! Messages for people on standard error.

use std::io::Write as _;

/// Prints a message for people on standard error. Nobody may be reading there, which ends nothing.
pub fn note(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}
