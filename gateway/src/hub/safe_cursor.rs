//! The safe cursor of the hub, which frames carry to clients.

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use galley_protocol::{ResumeCursor, SignedCursor, Update};
use galley_store::CursorKeys;

#[derive(Debug, PartialEq)]
pub struct SafeCursor {
    /// Everything below it was handed to the outboxes.
    pub cursor: ResumeCursor,
    /// The signed form for clients.
    pub signed: SignedCursor,
    /// The last bytes of a frame with this cursor.
    pub ending: Bytes,
}

impl SafeCursor {
    pub fn new(cursor: ResumeCursor, keys: &CursorKeys) -> Self {
        let signed = keys.sign(cursor);
        Self { cursor, signed, ending: Update::ending(&signed) }
    }
}

/// The current safe cursor of the hub. Until it is set for the first time, a client that resumes
/// from it starts over.
#[derive(Debug)]
pub struct CurrentSafeCursor {
    keys: CursorKeys,
    mark: RwLock<Arc<SafeCursor>>,
}

impl CurrentSafeCursor {
    /// Creates the initial cursor. This one and all later ones are signed with these keys.
    pub fn new(keys: CursorKeys) -> Self {
        let mark = RwLock::new(Arc::new(SafeCursor::new(ResumeCursor::EXPIRED, &keys)));
        Self { keys, mark }
    }

    pub fn advance(&self, safe: ResumeCursor) {
        let mark = Arc::new(SafeCursor::new(safe, &self.keys));
        *self.mark.write().unwrap_or_else(PoisonError::into_inner) = mark;
    }

    pub fn get(&self) -> Arc<SafeCursor> {
        Arc::clone(&self.mark.read().unwrap_or_else(PoisonError::into_inner))
    }
}
