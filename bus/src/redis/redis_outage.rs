//! The log of Redis outages: one line when an outage begins, one when it ends.
//!
//! The heartbeats decide, which every process sends once a second on every shard. Other failures
//! during an outage are not logged, because they have the same cause.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::BusError;

/// The shards that do not answer, one bit each.
#[derive(Debug, Default)]
pub(super) struct RedisOutage(AtomicU64);

impl RedisOutage {
    /// Notes whether a heartbeat was sent.
    pub(super) fn note(&self, shard: u16, beat: &Result<(), BusError>) {
        let bit = 1 << shard;
        let Err(error) = beat else {
            // The outage ends when the last shard answers again.
            if self.0.fetch_and(!bit, Ordering::Relaxed) == bit {
                tracing::info!("connected to Redis again");
            }
            return;
        };
        // The outage has begun on another shard, or earlier on this one.
        if self.0.fetch_or(bit, Ordering::Relaxed) != 0 {
            return;
        }
        match error {
            BusError::Unreachable(why) => tracing::warn!(
                why,
                "cannot reach Redis; updates do not pass between processes, and workers take orders from the database"
            ),
            BusError::Refused(why) => tracing::error!(
                why,
                "Redis refuses; updates do not pass between processes, and workers take orders from the database"
            ),
        }
    }
}
