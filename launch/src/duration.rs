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

/// Parses the greatest age of something: a duration of at least a second, or `unlimited`.
///
/// # Errors
/// A message for people.
pub fn parse_age(text: &str) -> Result<Duration, String> {
    if text == "unlimited" {
        return Ok(Duration::MAX);
    }
    let age = parse_duration(text).map_err(|error| format!("{error}, or unlimited"))?;
    let is_long = age >= Duration::from_secs(1);
    is_long.then_some(age).ok_or_else(|| "must be at least 1s, or unlimited".to_owned())
}
