//! Counts the refused callers by cause. The log gets at most one line per cause and second, however
//! many callers try.

use galley_bus::LogLimiter;

use crate::auth::TokenRejection;
use crate::metrics;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Origin,
    /// The request named a host that is not allowed.
    Host,
    /// The caller sent no token.
    NoToken,
    Token(TokenRejection),
    NotStaff,
    /// No token came in time.
    AuthTimeout,
    /// Too many sockets are waiting for their token.
    Unproven,
}

/// The refusals of a gateway.
#[derive(Debug, Default)]
pub struct Refusals([LogLimiter; Cause::COUNT]);

impl Refusals {
    /// Counts one refusal, and logs it unless one of this cause was logged within a second.
    pub fn count(&self, cause: Cause) {
        ::metrics::counter!(metrics::REFUSALS, "cause" => cause.word()).increment(1);
        if let Some(more) = self.0[cause.index()].now() {
            tracing::warn!(
                cause = cause.word(),
                more,
                "turned a caller away; `more` others since the last such line"
            );
        }
    }
}

impl Cause {
    const COUNT: usize = 16;

    /// Returns every cause.
    #[cfg(test)]
    pub fn all() -> impl Iterator<Item = Self> {
        let tokens = TokenRejection::ALL.map(Self::Token);
        [Self::Origin, Self::Host, Self::NoToken, Self::NotStaff, Self::AuthTimeout, Self::Unproven]
            .into_iter()
            .chain(tokens)
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Origin => "foreign-origin",
            Self::Host => "foreign-host",
            Self::NoToken => "no-token",
            Self::Token(refused) => refused.word(),
            Self::NotStaff => "not-staff",
            Self::AuthTimeout => "auth-timeout",
            Self::Unproven => "too-many-unproven",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Origin => 0,
            Self::NoToken => 1,
            Self::Token(TokenRejection::Signature) => 2,
            Self::Token(TokenRejection::Algorithm) => 3,
            Self::Token(TokenRejection::Claims) => 4,
            Self::Token(TokenRejection::Expired) => 5,
            Self::Token(TokenRejection::NotYet) => 6,
            Self::NotStaff => 7,
            Self::AuthTimeout => 8,
            Self::Unproven => 9,
            Self::Host => 10,
            Self::Token(TokenRejection::HeroGone) => 11,
            Self::Token(TokenRejection::UnknownKey) => 12,
            Self::Token(TokenRejection::LongLived) => 13,
            Self::Token(TokenRejection::SignedOut) => 14,
            Self::Token(TokenRejection::Ticket) => 15,
        }
    }
}
