//! Times of redelivery.

use std::time::Duration;

/// Times of redelivery and upkeep. Only tests change them.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Time after which an entry that was not settled is delivered again.
    pub reclaim_after: Duration,
    /// Interval at which each worker reclaims such entries and trims the stream.
    pub upkeep_every: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { reclaim_after: Duration::from_secs(10), upkeep_every: Duration::from_secs(5) }
    }
}
