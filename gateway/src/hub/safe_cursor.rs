//! How far the sockets have been told: the cursor that frames carry.

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use galley_protocol::{ResumeCursor, SignedCursor, Update};
use galley_store::CursorKeys;

/// A cursor, and what frames carry of it.
#[derive(Debug, PartialEq)]
pub struct SafeCursor {
    /// Everything below it was handed to the outboxes.
    pub cursor: ResumeCursor,
    /// The text for clients.
    pub signed: SignedCursor,
    /// The end of a frame with it.
    pub ending: Bytes,
}

impl SafeCursor {
    /// Signs a cursor.
    pub fn new(cursor: ResumeCursor, keys: &CursorKeys) -> Self {
        let signed = keys.sign(cursor);
        Self { cursor, signed, ending: Update::ending(&signed) }
    }
}

/// The mark of the hub. Until it is moved for the first time, whoever resumes from it begins anew.
#[derive(Debug)]
pub struct CurrentSafeCursor {
    keys: CursorKeys,
    mark: RwLock<Arc<SafeCursor>>,
}

impl CurrentSafeCursor {
    /// Signs with these keys.
    pub fn new(keys: CursorKeys) -> Self {
        let mark = RwLock::new(Arc::new(SafeCursor::new(ResumeCursor::EXPIRED, &keys)));
        Self { keys, mark }
    }

    /// Frames that are delivered from now on carry this cursor.
    pub fn advance(&self, safe: ResumeCursor) {
        let mark = Arc::new(SafeCursor::new(safe, &self.keys));
        *self.mark.write().unwrap_or_else(PoisonError::into_inner) = mark;
    }

    /// Returns the mark as it is now.
    pub fn get(&self) -> Arc<SafeCursor> {
        Arc::clone(&self.mark.read().unwrap_or_else(PoisonError::into_inner))
    }
}
