//! The log of outages of Redis: one line when one begins, one when it ends.
//!
//! The heartbeats, which every process sends once a second on every shard, decide. Whatever else
//! fails meanwhile says nothing: it is the same outage.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::BusError;

/// The shards that do not answer, a bit for each.
#[derive(Debug, Default)]
pub(super) struct Outage(AtomicU64);

impl Outage {
    /// A heartbeat went out, or did not.
    pub(super) fn note(&self, shard: u16, beat: &Result<(), BusError>) {
        let bit = 1 << shard;
        let Err(error) = beat else {
            if self.0.fetch_and(!bit, Ordering::Relaxed) == bit {
                tracing::info!("connected to Redis again");
            }
            return;
        };
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
