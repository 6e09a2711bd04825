//! The two deadlines of one peer: the expiry of its token, and the greatest age of its socket.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use galley_protocol::jwt::Who;

use crate::auth::{Claims, LEEWAY};

/// The time before the expiry of a token at which it is announced.
const ANNOUNCED: Duration = Duration::from_mins(1);
const NEVER: u64 = u64::MAX;
/// No token, or none of a hero.
const NONE: u32 = u32::MAX;

/// The two deadlines of a peer. Needs no lock.
#[derive(Debug)]
#[repr(C)]
pub struct Expiry {
    /// The expiry of the peer's token, in seconds since the epoch; the last ones are in 2106.
    expires: AtomicU32,
    /// The begin of its life, in seconds since the epoch, if it is a hero's.
    issued: AtomicU32,
    /// The age at which the peer is asked to reconnect, in milliseconds.
    retires_ms: AtomicU64,
}

impl Expiry {
    pub fn never() -> Self {
        Self {
            expires: AtomicU32::new(NONE),
            issued: AtomicU32::new(NONE),
            retires_ms: AtomicU64::new(NEVER),
        }
    }

    pub fn retire_at(&self, age: Duration) {
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(NEVER);
        self.retires_ms.store(age_ms, Ordering::Relaxed);
    }

    pub fn retires(&self, age_ms: u64) -> bool {
        let is_old = age_ms >= self.retires_ms.load(Ordering::Relaxed);
        if is_old {
            self.retires_ms.store(NEVER, Ordering::Relaxed);
        }
        is_old
    }

    /// Sets the life of the token. A hero's token without a begin counts as older than any
    /// sign-out; tokens of staff are not ended by one.
    pub fn set_token(&self, claims: Claims) {
        let issued = match claims.who {
            Who::Hero(_) => short(claims.issued.unwrap_or(0)),
            Who::Staff => NONE,
        };
        self.issued.store(issued, Ordering::Relaxed);
        self.expires.store(short(claims.expires), Ordering::Relaxed);
    }

    /// Ends the token if it was issued in this second or before.
    pub fn end_token(&self, second: u64) {
        if self.issued.load(Ordering::Relaxed) <= short(second) {
            self.expires.store(0, Ordering::Relaxed);
        }
    }

    /// Returns the time for which the token is still accepted: until its expiry plus [`LEEWAY`].
    pub fn token_left(&self, now: u64) -> Duration {
        match self.expires.load(Ordering::Relaxed) {
            NONE => Duration::MAX,
            expires => {
                let end = u64::from(expires).saturating_add(LEEWAY);
                Duration::from_secs(end.saturating_sub(now))
            }
        }
    }

    /// Returns true if the expiry of the token is to be announced.
    pub fn is_near(&self, now: u64) -> bool {
        self.token_left(now) <= ANNOUNCED
    }
}

fn short(second: u64) -> u32 {
    u32::try_from(second).unwrap_or(NONE).min(NONE - 1)
}

/// The state of the notice about the expiry of a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenNotice {
    /// The token is valid, and will be for a while.
    #[default]
    Good,
    /// The expiry is near, and the session must announce it.
    Expiring,
    Announced,
    Expired,
    /// The hero of the token was deleted. No other token of it is valid.
    HeroGone,
}

impl TokenNotice {
    /// Updates the state for the time left. Returns true if the session has something to do.
    pub fn advance(&mut self, left: Duration) -> bool {
        *self = match *self {
            Self::HeroGone => return false,
            _ if left.is_zero() => Self::Expired,
            Self::Good if left <= ANNOUNCED => Self::Expiring,
            Self::Good | Self::Expiring | Self::Announced | Self::Expired => return false,
        };
        true
    }

    /// Notes a new token.
    pub fn renew(&mut self) {
        if *self != Self::HeroGone {
            *self = Self::Good;
        }
    }

    pub fn is_due(self) -> bool {
        matches!(self, Self::Expiring | Self::Expired | Self::HeroGone)
    }

    /// Returns true if the expiry must be announced. It counts as announced from now on.
    pub fn take_announcement(&mut self) -> bool {
        let is_due = *self == Self::Expiring;
        if is_due {
            *self = Self::Announced;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use galley_protocol::jwt::Who;

    use super::{Expiry, LEEWAY, TokenNotice};
    use crate::auth::Claims;

    #[test]
    fn the_end_of_a_token_is_near_a_minute_ahead() {
        let expiry = Expiry::never();
        assert!(!expiry.is_near(u64::MAX / 2), "a peer without a token");
        let end = 1_000 + LEEWAY;
        expiry.set_token(Claims::between(1, 1_000));
        assert!(!expiry.is_near(end - 61) && expiry.is_near(end - 60));
        assert_eq!(expiry.token_left(end - 60), Duration::from_mins(1));
        assert_eq!(expiry.token_left(end + 1), Duration::ZERO);
        expiry.set_token(Claims::between(1, 2_000));
        assert!(!expiry.is_near(end), "a later token takes its place");
    }

    #[test]
    fn a_sign_out_ends_tokens_from_before() {
        let expiry = Expiry::never();
        expiry.end_token(u64::MAX - 1);
        assert!(!expiry.is_near(u64::MAX / 2), "there was no token");
        expiry.set_token(Claims::between(100, 1_000));
        expiry.end_token(99);
        assert!(!expiry.token_left(100).is_zero());
        expiry.end_token(100);
        assert!(expiry.token_left(100).is_zero());
        expiry.set_token(Claims { who: Who::Staff, ..Claims::between(100, 1_000) });
        expiry.end_token(100);
        assert!(!expiry.token_left(100).is_zero(), "one of staff stays");
    }

    #[test]
    fn the_end_of_a_token_is_announced_once_and_then_comes() {
        let mut notice = TokenNotice::Good;
        assert!(!notice.advance(Duration::from_secs(61)) && !notice.is_due());
        assert!(notice.advance(Duration::from_mins(1)) && notice.is_due());
        assert!(!notice.advance(Duration::from_secs(59)), "the session knows");
        assert!(notice.take_announcement() && !notice.take_announcement() && !notice.is_due());
        assert!(!notice.advance(Duration::from_secs(1)));
        for _ in 0..2 {
            assert!(notice.advance(Duration::ZERO) && notice.is_due());
            assert!(!notice.take_announcement());
        }
        assert_eq!(notice, TokenNotice::Expired);
    }

    #[test]
    fn nothing_follows_the_deletion_of_the_hero() {
        let mut notice = TokenNotice::HeroGone;
        notice.renew();
        assert!(!notice.advance(Duration::ZERO) && !notice.take_announcement());
        assert!(notice.is_due() && notice == TokenNotice::HeroGone);
    }

    #[test]
    fn a_peer_that_is_old_enough_is_sent_away_once() {
        let expiry = Expiry::never();
        assert!(!expiry.retires(u64::MAX - 1));
        expiry.retire_at(Duration::from_secs(1));
        assert!(!expiry.retires(999));
        assert!(expiry.retires(1_000) && !expiry.retires(1_001));
    }
}
