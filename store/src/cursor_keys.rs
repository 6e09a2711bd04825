//! The keys that sign the cursors of clients. An epoch is one history of the database: a cursor of
//! another history is invalid, because its position means something else here.

use std::sync::{Arc, PoisonError, RwLock};

use galley_protocol::{CursorKey, MessageKeys, ResumeCursor, SignedCursor};
use rand::RngExt as _;

/// The length of a key's secret in bytes.
pub(crate) const SECRET: usize = 32;

/// The keys that sign the cursors of clients, and those derived from them, which sign the messages
/// on the bus. Clones share them.
#[derive(Clone, Debug)]
pub struct CursorKeys {
    keys: Arc<RwLock<Keys>>,
    messages: MessageKeys,
}

#[derive(Debug)]
struct Keys {
    newest: CursorKey,
    earlier: Vec<Earlier>,
    /// False for the random key that a process uses until it has read one from the database.
    is_shared: bool,
}

/// The key of an earlier epoch whose history this database continues.
#[derive(Clone, Debug)]
pub(crate) struct Earlier {
    pub(crate) key: CursorKey,
    /// The greatest position that a cursor of this epoch may have.
    pub(crate) last: i64,
}

impl Default for CursorKeys {
    /// A random key that no other process knows.
    fn default() -> Self {
        Self::with(random(), false)
    }
}

impl CursorKeys {
    /// Builds the keys from one epoch and its secret, without earlier ones.
    #[must_use]
    pub fn of(epoch: u32, secret: &[u8]) -> Self {
        Self::with(CursorKey::new(epoch, secret), true)
    }

    fn with(newest: CursorKey, is_shared: bool) -> Self {
        let messages = MessageKeys::new(&newest);
        let keys = Arc::new(RwLock::new(Keys { newest, earlier: Vec::new(), is_shared }));
        Self { keys, messages }
    }

    /// The keys that sign the messages on the bus.
    #[must_use]
    pub fn messages(&self) -> &MessageKeys {
        &self.messages
    }

    /// Signs a cursor with the newest key.
    #[must_use]
    pub fn sign(&self, cursor: ResumeCursor) -> SignedCursor {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).newest.sign(cursor)
    }

    pub(crate) fn newest(&self) -> u32 {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).newest.epoch()
    }

    /// Verifies a cursor with any key; one of an earlier epoch must not exceed its last position.
    pub(crate) fn read(&self, text: &str) -> Option<ResumeCursor> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let earlier = || {
            let found = keys
                .earlier
                .iter()
                .find_map(|earlier| Some((earlier.key.read(text).ok()?, earlier.last)));
            found.filter(|(cursor, last)| cursor.position <= *last).map(|(cursor, _)| cursor)
        };
        keys.newest.read(text).ok().or_else(earlier)
    }

    pub(crate) fn know(&self, epoch: u32) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.newest.epoch() == epoch
            || keys.earlier.iter().any(|earlier| earlier.key.epoch() == epoch)
    }

    pub(crate) fn are_shared(&self) -> bool {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).is_shared
    }

    pub(crate) fn set(&self, newest: CursorKey, earlier: Vec<Earlier>) {
        self.messages.replace(&newest, earlier.iter().map(|earlier| &earlier.key));
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) =
            Keys { newest, earlier, is_shared: true };
    }
}

pub(crate) fn seed() -> (u32, [u8; SECRET]) {
    rand::rng().random()
}

fn random() -> CursorKey {
    let (epoch, secret) = seed();
    CursorKey::new(epoch, &secret)
}
