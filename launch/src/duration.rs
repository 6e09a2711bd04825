//! Lengths of time on the command line.

use std::time::Duration;

/// Reads a length of time.
///
/// # Errors
/// An example of a right value.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "must be a length of time such as 10s, 500ms or 2m".to_owned())
}
