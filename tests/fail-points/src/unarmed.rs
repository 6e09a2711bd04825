//! What is shipped: nothing.

use crate::FailPoint;

/// Nothing to choose.
///
/// # Errors
/// None.
#[inline]
pub const fn choose() -> Result<Option<&'static str>, String> {
    Ok(None)
}

/// Goes on.
#[inline]
pub const fn reach(_: FailPoint) {}

/// Goes on.
#[inline]
pub const fn trip(_: &str) {}

/// No.
#[must_use]
#[inline]
pub const fn is_next(_: FailPoint) -> bool {
    false
}
