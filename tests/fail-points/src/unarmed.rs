//! The shipped implementation, which does nothing.

use std::future::{Ready, ready};

use crate::FailPoint;

/// Chooses nothing.
///
/// # Errors
/// Never fails.
#[inline]
pub const fn choose() -> Result<Option<&'static str>, String> {
    Ok(None)
}

/// Does nothing.
#[inline]
pub const fn reach(_: FailPoint) {}

/// Does nothing.
#[inline]
pub const fn trip(_: &str) {}

/// Holds nothing.
#[inline]
pub fn hold(_: FailPoint) -> Ready<()> {
    ready(())
}

/// Returns the value.
#[must_use]
#[inline]
pub fn withhold<T>(_: FailPoint, value: T) -> T {
    value
}
