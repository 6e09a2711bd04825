//! Who is turned away, counted by cause; the log hears of each cause at most once a second, however many try.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

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
#[derive(Debug)]
pub struct Refusals {
    born: Instant,
    causes: [Told; Cause::COUNT],
}

#[derive(Debug, Default)]
struct Told {
    /// The second of this gateway's life after the one in which the log heard of it last; 0 is never.
    next: AtomicU64,
    silent: AtomicU64,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { born: Instant::now(), causes: Default::default() }
    }
}

impl Refusals {
    /// Counts one, and tells the log when it has not heard of this cause within a second.
    pub fn tell(&self, cause: Cause) {
        ::metrics::counter!(metrics::REFUSALS, "cause" => cause.word()).increment(1);
        if let Some(silent) = self.is_news(cause, self.born.elapsed().as_secs()) {
            tracing::warn!(cause = cause.word(), untold = silent, "turned a caller away");
        }
    }

    /// How many were not told since the last time, when it is time to tell.
    fn is_news(&self, cause: Cause, second: u64) -> Option<u64> {
        let told = &self.causes[cause.index()];
        let due = |next: u64| (next <= second).then_some(second + 1);
        if told.next.try_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok() {
            return Some(told.silent.swap(0, Ordering::Relaxed));
        }
        told.silent.fetch_add(1, Ordering::Relaxed);
        None
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

#[cfg(test)]
mod tests {
    use super::{Cause, Refusals};

    #[test]
    fn the_log_hears_of_each_cause_once_a_second_and_of_how_many_there_were() {
        let refusals = Refusals::default();
        assert_eq!(refusals.is_news(Cause::NoToken, 0), Some(0));
        assert_eq!(refusals.is_news(Cause::NoToken, 0), None);
        assert_eq!(refusals.is_news(Cause::Origin, 0), Some(0));
        assert_eq!(refusals.is_news(Cause::NoToken, 0), None);
        assert_eq!(refusals.is_news(Cause::NoToken, 1), Some(2));
        assert_eq!(refusals.is_news(Cause::NoToken, 7), Some(0));
    }
}
