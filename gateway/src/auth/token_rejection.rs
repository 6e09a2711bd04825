//! The reasons for refusing a token.

use thiserror::Error;

/// The reason for refusing a token. Whether a signature is wrong or a key is missing is not told
/// apart to callers.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TokenRejection {
    /// It is not a token, or no key of this service signed it.
    #[error("the token is malformed, or not signed with a key of this service")]
    Signature,
    /// No key with its `kid` is known, and the keys could not be read again.
    #[error("the keys of the identity provider cannot be read at present")]
    UnknownKey,
    /// The header is unreadable, names another algorithm or purpose, or requires an extension
    /// (`crit`).
    #[error("the token is of a kind that this service does not take")]
    Algorithm,
    /// A claim is missing or invalid.
    #[error("a claim of the token is missing or wrong")]
    Claims,
    /// Its life is longer than `GALLEY_JWT_MAX_AGE`.
    #[error("the token lives too long")]
    LongLived,
    /// It has expired.
    #[error("the token has expired")]
    Expired,
    /// It is not valid yet.
    #[error("the token is not valid yet")]
    NotYet,
    /// Its hero was deleted.
    #[error("the hero of this token was deleted")]
    HeroGone,
    /// Its hero has signed out since it was issued.
    #[error("the hero of this token has signed out")]
    SignedOut,
    /// The ticket in its place is no good.
    #[error("the ticket is unknown, was used, is older than 30 seconds, or is another page's")]
    Ticket,
}

impl TokenRejection {
    /// Every rejection.
    #[cfg(test)]
    pub const ALL: [Self; 10] = [
        Self::Signature,
        Self::UnknownKey,
        Self::Algorithm,
        Self::Claims,
        Self::LongLived,
        Self::Expired,
        Self::NotYet,
        Self::HeroGone,
        Self::SignedOut,
        Self::Ticket,
    ];

    /// The reason in one word, for logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Signature => "bad-signature",
            Self::UnknownKey => "unknown-key",
            Self::Algorithm => "bad-algorithm",
            Self::Claims => "bad-claims",
            Self::LongLived => "long-lived-token",
            Self::Expired => "expired-token",
            Self::NotYet => "early-token",
            Self::HeroGone => "hero-gone",
            Self::SignedOut => "signed-out",
            Self::Ticket => "bad-ticket",
        }
    }

    /// Returns true if another token would do, and which one is worth telling.
    #[must_use]
    pub const fn is_about_kind(self) -> bool {
        matches!(self, Self::Signature | Self::Algorithm | Self::Claims | Self::LongLived)
    }
}
