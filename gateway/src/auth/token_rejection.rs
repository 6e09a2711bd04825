//! The reasons for refusing a token.

use std::error::Error;
use std::fmt;

use galley_protocol::Sentence;

/// The reason for refusing a token. Whether a signature is wrong or a key is missing is not told
/// apart to callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenRejection {
    /// It is not a token, or no key of this service signed it.
    Signature,
    /// No key with its `kid` is known, and the keys could not be read again.
    UnknownKey,
    /// The header is unreadable, names another algorithm or purpose, or requires an extension
    /// (`crit`).
    Algorithm,
    /// A claim is missing or invalid.
    Claims,
    /// Its life is longer than `GALLEY_JWT_MAX_AGE`.
    LongLived,
    /// It has expired.
    Expired,
    /// It is not valid yet.
    NotYet,
    /// Its hero was deleted.
    HeroGone,
    /// Its hero has signed out since it was issued.
    SignedOut,
    /// The ticket in its place is no good.
    Ticket,
}

impl fmt::Display for TokenRejection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence().fmt(formatter)
    }
}

impl Error for TokenRejection {}

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

    /// The reason for people.
    #[must_use]
    pub const fn sentence(self) -> Sentence {
        match self {
            Self::Signature => Sentence::TokenSignature,
            Self::UnknownKey => Sentence::TokenKeys,
            Self::Algorithm => Sentence::TokenAlgorithm,
            Self::Claims => Sentence::TokenClaims,
            Self::LongLived => Sentence::TokenLongLived,
            Self::Expired => Sentence::TokenExpired,
            Self::NotYet => Sentence::TokenNotYet,
            Self::HeroGone => Sentence::TokenHeroGone,
            Self::SignedOut => Sentence::TokenSignedOut,
            Self::Ticket => Sentence::BadTicket,
        }
    }

    /// Returns true if another token would do, and which one is worth telling.
    #[must_use]
    pub const fn is_about_kind(self) -> bool {
        matches!(self, Self::Signature | Self::Algorithm | Self::Claims | Self::LongLived)
    }
}
