//! The knowledge of somebody who watches the staff feed.
//!
//! Used by the crowd, to see when it is quiet, and by the checker.

use serde_json::Value;

use super::picture::Picture;

/// A watcher's knowledge.
#[derive(Clone, Debug, Default)]
pub struct FeedView {
    picture: Picture,
    /// Whatever has changed since is known, or will be told; in microseconds since the record
    /// began.
    complete_since: Option<u64>,
    /// The connection watches already.
    is_watching: bool,
    /// The gateway goes on where the connection before left off.
    is_resumed: bool,
}

impl FeedView {
    /// A connection is opened.
    pub fn open(&mut self) {
        (self.is_watching, self.is_resumed) = (false, false);
    }

    /// A frame comes.
    pub fn take(&mut self, frame: &Value, now_us: u64) {
        self.is_resumed |= frame["resume"] == "resumed";
        let begins = frame["watching"] == true || frame["type"] == "feed";
        if begins && !std::mem::replace(&mut self.is_watching, true) && !self.is_resumed {
            self.complete_since = Some(now_us);
        }
        self.picture.take(frame);
    }

    /// Returns true if it lacks a change that came after this moment.
    #[must_use]
    pub fn lacks(&self, order: i64, version: i64, since_us: u64) -> bool {
        let is_owed = self.complete_since.is_some_and(|complete| complete <= since_us);
        is_owed && !self.picture.knows(order, version)
    }
}
