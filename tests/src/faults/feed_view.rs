//! The knowledge of a watcher of the staff feed.
//!
//! The crowd uses it to detect when it is quiet, and the checker to find missed changes.

use serde_json::Value;

use super::known_orders::KnownOrders;

/// A watcher's knowledge.
#[derive(Clone, Debug, Default)]
pub struct FeedView {
    picture: KnownOrders,
    /// The moment since which every change is known or must still arrive, in microseconds since the
    /// record began.
    complete_since: Option<u64>,
    /// Set once the connection watches.
    is_watching: bool,
    /// True if the gateway resumes from the previous connection.
    is_resumed: bool,
}

impl FeedView {
    /// Notes that a connection is opened.
    pub fn open(&mut self) {
        (self.is_watching, self.is_resumed) = (false, false);
    }

    /// Applies a frame.
    pub fn take(&mut self, frame: &Value, now_us: u64) {
        self.is_resumed |= frame["resume"] == "resumed";
        let begins = frame["watching"] == true || frame["type"] == "feed";
        if begins && !std::mem::replace(&mut self.is_watching, true) && !self.is_resumed {
            self.complete_since = Some(now_us);
        }
        self.picture.take(frame);
    }

    /// Returns true if a change that must have arrived is missing.
    #[must_use]
    pub fn lacks(&self, order: i64, version: i64, since_us: u64) -> bool {
        let is_owed = self.complete_since.is_some_and(|complete| complete <= since_us);
        is_owed && !self.picture.knows(order, version)
    }
}
