//! Durations on the command line.

use std::time::Duration;

/// Parses a duration.
///
/// # Errors
/// A message with an example of a valid value.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "must be a length of time such as 10s, 500ms or 2m".to_owned())
}
