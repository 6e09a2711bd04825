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

#[cfg(test)]
impl Claims {
    /// The claims of a hero's token with this life, in seconds since the epoch.
    #[must_use]
    pub fn between(issued: u64, expires: u64) -> Self {
        let who = Who::Hero(galley_protocol::HeroId::FIRST);
        Self { who, subject: 0, issued: Some(issued), expires }
    }
}
