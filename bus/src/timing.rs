//! The times after which entries of the queue come back.

use std::time::Duration;

/// When entries that nobody settles come back; other than the default only in tests.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long an entry stays with a worker that neither settles it nor reads on.
    pub reclaim_after: Duration,
    /// How often each worker looks for such entries, and tidies up.
    pub upkeep_every: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { reclaim_after: Duration::from_secs(10), upkeep_every: Duration::from_secs(5) }
    }
}
