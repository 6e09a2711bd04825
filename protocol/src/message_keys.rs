//! The signatures of the messages on the bus.
//!
//! Redis is not trusted: whoever can publish there could invent changes, or hide losses. Each
//! message therefore carries a message authentication code: HMAC-SHA-256, shortened to 16 bytes, as
//! the last word of its first line. Its key is derived from a key in the database, which only the
//! processes of the service read. The code covers the name of the channel and everything but itself.
//!
//! Programs of the version before sign nothing. Their messages are accepted as long as the database
//! says that such a publisher lives (the census), and from nobody else.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::{CursorKey, PublisherId};

/// The beginning of the word with the code.
const WORD: &[u8] = b" mac=";
/// Bytes of the code. A forger needs 2^127 attempts on average.
const CODE: usize = 16;
/// Separates these keys from those of cursors.
const LABEL: &[u8] = b"messages on the bus";
/// The most earlier keys that are tried. A process learns the newest one within a second.
const MAX_EARLIER: usize = 4;

/// The keys of messages, and the publishers that need none. Clones share them.
#[derive(Clone)]
pub struct MessageKeys(Arc<RwLock<KeyRing>>);

struct KeyRing {
    newest: Hmac<Sha256>,
    earlier: Vec<Hmac<Sha256>>,
    unsigned: BTreeSet<PublisherId>,
}

/// The verdict on the origin of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageOrigin {
    /// A process that can read the key.
    Service,
    /// It has no code. [`MessageKeys::may_be_unsigned`] decides.
    Unsigned,
    /// Its code is wrong.
    Forged,
}

impl MessageKeys {
    /// Derives the key from the newest key of cursors.
    #[must_use]
    pub fn new(newest: &CursorKey) -> Self {
        let (newest, unsigned) = (newest.derive(LABEL), BTreeSet::new());
        Self(Arc::new(RwLock::new(KeyRing { newest, earlier: Vec::new(), unsigned })))
    }

    /// Replaces the keys. Messages that were signed with an earlier one are accepted further on.
    pub fn replace<'a>(
        &self,
        newest: &CursorKey,
        earlier: impl DoubleEndedIterator<Item = &'a CursorKey>,
    ) {
        let mut ring = self.0.write().unwrap_or_else(PoisonError::into_inner);
        ring.newest = newest.derive(LABEL);
        ring.earlier = earlier.rev().take(MAX_EARLIER).map(|key| key.derive(LABEL)).collect();
    }

    /// Sets the publishers of the version before that live according to the database.
    pub fn allow_unsigned(&self, publishers: BTreeSet<PublisherId>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).unsigned = publishers;
    }

    /// Returns true if this publisher signs nothing, because it is of the version before.
    #[must_use]
    pub fn may_be_unsigned(&self, publisher: PublisherId) -> bool {
        self.ring().unsigned.contains(&publisher)
    }

    /// Returns true while processes of the version before live.
    #[must_use]
    pub fn expect_unsigned(&self) -> bool {
        !self.ring().unsigned.is_empty()
    }

    /// Signs a message for this channel.
    #[must_use]
    pub fn sign(&self, channel: &str, mut message: Vec<u8>) -> Vec<u8> {
        let end = first_line(&message);
        let mac = covering(self.ring().newest.clone(), channel, message.split_at(end));
        let code = URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes()[..CODE]);
        message.splice(end..end, [WORD, code.as_bytes()].concat());
        message
    }

    /// Judges the origin of a message on this channel.
    #[must_use]
    pub fn origin(&self, channel: &str, message: &[u8]) -> MessageOrigin {
        let (head, rest) = message.split_at(first_line(message));
        let last_word = head.iter().rposition(|byte| *byte == b' ').unwrap_or(head.len());
        let (head, word) = head.split_at(last_word);
        let Some(code) = word.strip_prefix(WORD) else { return MessageOrigin::Unsigned };
        let Ok(code) = URL_SAFE_NO_PAD.decode(code) else { return MessageOrigin::Forged };
        let ring = self.ring();
        let is_of = |key: &Hmac<Sha256>| {
            // Compares in constant time.
            let mac = covering(key.clone(), channel, (head, rest));
            code.len() == CODE && mac.verify_truncated_left(&code).is_ok()
        };
        if is_of(&ring.newest) || ring.earlier.iter().any(is_of) {
            MessageOrigin::Service
        } else {
            MessageOrigin::Forged
        }
    }

    fn ring(&self) -> RwLockReadGuard<'_, KeyRing> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MessageKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MessageKeys(…)")
    }
}

/// Returns the length of the first line.
fn first_line(message: &[u8]) -> usize {
    message.iter().position(|byte| *byte == b'\n').unwrap_or(message.len())
}

/// The name of a channel holds no line feed, so its end is unmistakable.
fn covering(key: Hmac<Sha256>, channel: &str, (head, rest): (&[u8], &[u8])) -> Hmac<Sha256> {
    key.chain_update(channel).chain_update(b"\n").chain_update(head).chain_update(rest)
}

#[cfg(test)]
mod tests {
    use super::{MessageKeys, MessageOrigin};
    use crate::{CursorKey, PublisherId};

    const MESSAGES: [&str; 3] =
        ["galley3 7 1\n1 2 3 - 5 {}\n", "galley3 7 1\n", "galley3-beat 7 0 -"];

    fn key(secret: &str) -> CursorKey {
        CursorKey::new(1, secret.as_bytes())
    }

    #[test]
    fn a_signed_message_keeps_its_lines_and_is_known() {
        let keys = MessageKeys::new(&key("secret"));
        for message in MESSAGES {
            let signed = keys.sign("updates", message.into());
            let text = String::from_utf8(signed.clone()).expect("text");
            let (first, rest) = message.split_once('\n').map_or((message, ""), |both| both);
            assert!(text.starts_with(&format!("{first} mac=")) && text.ends_with(rest), "{text}");
            assert_eq!(text.lines().count(), message.lines().count());
            assert_eq!(keys.origin("updates", &signed), MessageOrigin::Service);
            assert_eq!(keys.origin("updates", message.as_bytes()), MessageOrigin::Unsigned);
        }
    }

    #[test]
    fn no_other_bytes_pass() {
        let keys = MessageKeys::new(&key("secret"));
        let good = keys.sign("updates", MESSAGES[0].into());
        assert_eq!(keys.origin("others", &good), MessageOrigin::Forged);
        let other = MessageKeys::new(&key("another"));
        assert_eq!(other.origin("updates", &good), MessageOrigin::Forged);
        for at in 0..good.len() {
            let mut forged = good.clone();
            forged[at] ^= 1;
            assert_ne!(keys.origin("updates", &forged), MessageOrigin::Service, "{at}");
        }
        for code in ["", "A", "AAAAAAAAAAAAAAAAAAAAAA", "====", "\u{e9}"] {
            let forged = format!("galley3 7 1 mac={code}\n");
            assert_eq!(keys.origin("updates", forged.as_bytes()), MessageOrigin::Forged, "{code}");
        }
        assert_eq!(keys.origin("updates", b""), MessageOrigin::Unsigned);
    }

    #[test]
    fn a_key_may_change_under_way() {
        let (before, after) = (MessageKeys::new(&key("a")), MessageKeys::new(&key("b")));
        let early = before.sign("updates", MESSAGES[1].into());
        assert_eq!(after.origin("updates", &early), MessageOrigin::Forged);
        after.replace(&key("b"), [key("x"), key("a")].iter());
        assert_eq!(after.origin("updates", &early), MessageOrigin::Service);
        let late = after.sign("updates", MESSAGES[1].into());
        assert_eq!(MessageKeys::new(&key("b")).origin("updates", &late), MessageOrigin::Service);
    }

    #[test]
    fn only_named_publishers_sign_nothing() {
        let (keys, id) = (MessageKeys::new(&key("a")), PublisherId::new(7).expect("an id"));
        assert!(!keys.may_be_unsigned(id));
        keys.clone().allow_unsigned([id].into());
        assert!(keys.may_be_unsigned(id));
        keys.allow_unsigned(std::collections::BTreeSet::new());
        assert!(!keys.may_be_unsigned(id));
    }
}
