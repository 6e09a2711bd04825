//! The claims of a valid token.

use galley_protocol::jwt::Who;

/// The claims of a valid token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The owner of the token.
    pub who: Who,
    /// A hash of `sub`, which tells one member of staff from another.
    pub subject: u64,
    /// Begin of its life, in seconds since the epoch, if it says so.
    pub issued: Option<u64>,
    /// Expiry, in seconds since the epoch.
    pub expires: u64,
}
