//! The shipped implementation, which does nothing.

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

/// Returns false.
#[must_use]
#[inline]
pub const fn is_next(_: FailPoint) -> bool {
    false
}
