//! One rate for each of many callers.

use std::hash::Hash;

use super::Meter;
use super::bounded_map::BoundedMap;
use super::rate::{RateLimit, RateVerdict, now};

/// The use of one rate by each caller. It belongs to the caller and not to a connection: whoever
/// comes back finds its meter as it was.
#[derive(Debug)]
pub struct Meters<K> {
    rate: RateLimit,
    meters: BoundedMap<K, Meter>,
}

impl<K: Copy + Eq + Hash> Meters<K> {
    #[must_use]
    pub fn new(rate: RateLimit) -> Self {
        Self { rate, meters: BoundedMap::default() }
    }

    #[must_use]
    pub const fn rate(&self) -> RateLimit {
        self.rate
    }

    /// Takes this many units of the caller's rate, if it allows them.
    pub fn take(&self, key: K, units: u32) -> RateVerdict {
        let rate = self.rate;
        if rate.is_unlimited() {
            return Meter::default().take(rate);
        }
        let now = now();
        self.meters.with(key, now, |meter| meter.take_many_at(rate, units, now))
    }
}
