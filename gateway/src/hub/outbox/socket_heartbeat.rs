//! The heartbeat of one peer: its last sign of life, and the ping that it has not answered.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The last sign of life of a peer. Needs no lock.
#[derive(Debug)]
#[repr(C)]
pub struct LastReceived {
    born: Instant,
    age_at_last_ms: AtomicU64,
    /// True if a ping is due or was sent, and nothing was received since.
    doubted: AtomicBool,
}

impl LastReceived {
    pub fn now() -> Self {
        Self {
            born: Instant::now(),
            age_at_last_ms: AtomicU64::new(0),
            doubted: AtomicBool::new(false),
        }
    }

    pub fn age_ms(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub fn silence(&self) -> Duration {
        let silent_ms = self.age_ms().saturating_sub(self.age_at_last_ms.load(Ordering::Relaxed));
        Duration::from_millis(silent_ms)
    }

    /// Notes a sign of life. Returns true if it ends a doubt.
    pub fn note(&self) -> bool {
        self.age_at_last_ms.store(self.age_ms(), Ordering::Relaxed);
        self.doubted.swap(false, Ordering::Relaxed)
    }

    /// Notes that the peer is doubted. The next sign of life ends the doubt.
    pub fn doubt(&self) {
        self.doubted.store(true, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Doubt {
    #[default]
    None,
    /// The session must send a ping. The timeout starts when it has been sent.
    PingDue,
    /// The ping was sent at this time.
    Asked(Instant),
    /// The peer has not answered in time.
    Abandoned,
}

impl Doubt {
    /// Returns the doubt after one more beat of silence. `ping` tries to send a ping at once, and
    /// returns true if it could.
    pub fn grow(self, timeout: Duration, ping: impl FnOnce() -> bool) -> Self {
        match self {
            Self::None if ping() => Self::Asked(Instant::now()),
            Self::None => Self::PingDue,
            Self::Asked(at) if at.elapsed() >= timeout => Self::Abandoned,
            same @ (Self::PingDue | Self::Asked(_) | Self::Abandoned) => same,
        }
    }

    pub fn is_due(self) -> bool {
        matches!(self, Self::PingDue | Self::Abandoned)
    }

    /// Returns true if a ping is due, which counts as sent from now on.
    pub fn take_ping(&mut self) -> bool {
        let is_due = *self == Self::PingDue;
        if is_due {
            *self = Self::Asked(Instant::now());
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Doubt, LastReceived};

    #[test]
    fn a_silent_peer_is_asked_once_and_then_given_up() {
        let mut doubt = Doubt::None;
        for _ in 0..2 {
            doubt = doubt.grow(Duration::ZERO, || false);
            assert_eq!(doubt, Doubt::PingDue, "a peer that was not asked is not given up");
        }
        assert!(doubt.is_due() && doubt.take_ping() && !doubt.take_ping());
        doubt = doubt.grow(Duration::from_mins(1), || panic!("it was asked"));
        assert!(!doubt.is_due());
        for _ in 0..2 {
            doubt = doubt.grow(Duration::ZERO, || panic!("it was asked"));
            assert_eq!(doubt, Doubt::Abandoned);
        }
        assert!(doubt.is_due() && !doubt.take_ping());
    }

    #[test]
    fn a_ping_that_was_sent_at_once_is_not_due() {
        let doubt = Doubt::None.grow(Duration::ZERO, || true);
        assert!(matches!(doubt, Doubt::Asked(_)) && !doubt.is_due());
    }

    #[test]
    fn a_sign_of_life_ends_the_silence_and_the_doubt() {
        let last = LastReceived::now();
        std::thread::sleep(Duration::from_millis(5));
        assert!(last.silence() >= Duration::from_millis(5));
        assert!(!last.note(), "nobody doubted");
        last.doubt();
        assert!(last.note() && !last.note());
        let heard = last.age_at_last_ms.load(std::sync::atomic::Ordering::Relaxed);
        assert!(heard >= 5 && heard <= last.age_ms());
    }
}
