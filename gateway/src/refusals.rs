//! Callers who are turned away, counted by cause; the log gets a line for each cause at most once a
//! minute, however many try.

use galley_bus::Rarely;

use crate::auth::Refused;
use crate::metrics;

/// Why a caller is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A page of an origin that is not allowed.
    Origin,
    /// No token was shown.
    NoToken,
    /// The token is not good.
    Token(Refused),
    /// Only staff may do that.
    NotStaff,
    /// No token was shown in time.
    AuthTimeout,
    /// Too many sockets wait for their token.
    Unproven,
}

/// The refusals of a gateway.
#[derive(Debug, Default)]
pub struct Refusals([Rarely; Cause::COUNT]);

impl Refusals {
    /// Counts one, and logs it unless one of this cause was logged within a minute.
    pub fn tell(&self, cause: Cause) {
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
    const COUNT: usize = 10;

    /// In a word, the label of the metric.
    const fn word(self) -> &'static str {
        match self {
            Self::Origin => "foreign-origin",
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
            Self::Token(Refused::Signature) => 2,
            Self::Token(Refused::Algorithm) => 3,
            Self::Token(Refused::Claims) => 4,
            Self::Token(Refused::Expired) => 5,
            Self::Token(Refused::NotYet) => 6,
            Self::NotStaff => 7,
            Self::AuthTimeout => 8,
            Self::Unproven => 9,
        }
    }
}
