//! The log of outages of Redis: one line when one begins, one when it ends.
//!
//! The heartbeat, which every process sends once a second, decides. Whatever else fails meanwhile says nothing: it is the same outage.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::BusError;

/// The state of the connection to Redis.
#[derive(Debug, Default)]
pub(super) struct Outage(AtomicBool);

impl Outage {
    /// A heartbeat went out, or did not.
    pub(super) fn note(&self, beat: &Result<(), BusError>) {
        match beat {
            Ok(()) if self.0.swap(false, Ordering::Relaxed) => tracing::info!("connected to Redis again"),
            Err(BusError::Unreachable(why)) if !self.0.swap(true, Ordering::Relaxed) => tracing::warn!(
                why,
                "cannot reach Redis; updates do not pass between processes, and workers take orders from the database"
            ),
            Err(BusError::Refused(why)) if !self.0.swap(true, Ordering::Relaxed) => tracing::error!(
                why,
                "Redis refuses; updates do not pass between processes, and workers take orders from the database"
            ),
            _ => {}
        }
    }
}
