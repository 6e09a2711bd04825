//! The cursors of clients: opaque text that only this service can produce.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use super::{CursorError, ResumeCursor, opaque};
use crate::{OrderId, Timestamp};

/// The version of the layout: this, epoch, time, low watermark, position (big-endian), signature.
const VERSION: u8 = 1;
/// Bytes of the signature. One forgery in 2^64 passes, and each attempt is a request.
const SIGNATURE: usize = 8;
/// Bytes before the signature.
const SIGNED: usize = 1 + size_of::<u32>() + 3 * size_of::<i64>();
const BYTES: usize = SIGNED + SIGNATURE;
/// Characters of the text.
const LENGTH: usize = (BYTES * 4).div_ceil(3);

/// A signed cursor: base64 of the URL alphabet, without padding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SignedCursor([u8; LENGTH]);

/// The key that signs the cursors of one epoch. An epoch is one history of the database. A restored
/// backup begins a new one, in which the cursors of the previous epoch are refused.
#[derive(Clone)]
pub struct CursorKey {
    epoch: u32,
    mac: Hmac<Sha256>,
}

impl CursorKey {
    /// Creates the key of an epoch from secret bytes.
    #[must_use]
    pub fn new(epoch: u32, secret: &[u8]) -> Self {
        Self { epoch, mac: Hmac::new_from_slice(secret).expect("HMAC takes a key of any length") }
    }

    /// Returns the epoch whose cursors it signs.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Derives a key for another purpose. Its codes are no signatures of cursors, which begin with
    /// [`VERSION`].
    pub(crate) fn derive(&self, label: &[u8]) -> Hmac<Sha256> {
        let derived = self.mac.clone().chain_update(label).finalize().into_bytes();
        Hmac::new_from_slice(&derived).expect("HMAC takes a key of any length")
    }

    /// Signs a cursor.
    #[must_use]
    pub fn sign(&self, cursor: ResumeCursor) -> SignedCursor {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.push(VERSION);
        bytes.extend(self.epoch.to_be_bytes());
        for number in [cursor.time.millis(), cursor.low_watermark.get(), cursor.position] {
            bytes.extend(number.to_be_bytes());
        }
        let signature = self.mac.clone().chain_update(&bytes).finalize().into_bytes();
        bytes.extend(&signature[..SIGNATURE]);
        let mut text = [0; LENGTH];
        URL_SAFE_NO_PAD.encode_slice(bytes, &mut text).expect("the text has room for all bytes");
        SignedCursor(text)
    }

    /// Reads a cursor that this key signed.
    ///
    /// # Errors
    /// [`CursorError`] for any other text.
    pub fn read(&self, text: &str) -> Result<ResumeCursor, CursorError> {
        let bytes = decode(text).filter(|bytes| epoch(bytes) == self.epoch).ok_or(CursorError)?;
        let (signed, signature) = bytes.split_at(SIGNED);
        let mac = self.mac.clone().chain_update(signed);
        // Compares in constant time.
        mac.verify_truncated_left(signature).map_err(|_| CursorError)?;
        let number = |at: usize| {
            // The three numbers end where the signature begins.
            let start = SIGNED - (3 - at) * size_of::<i64>();
            let number = bytes[start..].first_chunk().expect("there are so many bytes");
            i64::from_be_bytes(*number)
        };
        Ok(ResumeCursor {
            time: Timestamp::from_millis(number(0)).map_err(|_| CursorError)?,
            low_watermark: OrderId::new(number(1)).map_err(|_| CursorError)?,
            position: number(2),
        })
    }
}

impl fmt::Debug for CursorKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CursorKey").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl SignedCursor {
    /// Returns the epoch in a text, without a check of the signature.
    ///
    /// # Errors
    /// [`CursorError`] if it does not have the form of a cursor.
    pub fn epoch_of(text: &str) -> Result<u32, CursorError> {
        decode(text).map(|bytes| epoch(&bytes)).ok_or(CursorError)
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("base64 is ASCII")
    }
}

/// Decodes a text in the form of a cursor. No two texts decode to the same bytes.
fn decode(text: &str) -> Option<[u8; BYTES]> {
    // The decoder demands more room than the bytes need.
    let mut bytes = [0; BYTES + 2];
    let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    let bytes: [u8; BYTES] = bytes[..length].try_into().ok()?;
    (bytes[0] == VERSION).then_some(bytes)
}

fn epoch(bytes: &[u8; BYTES]) -> u32 {
    u32::from_be_bytes(*bytes[1..].first_chunk().expect("there are so many bytes"))
}

impl fmt::Display for SignedCursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for SignedCursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl serde::Serialize for SignedCursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl PartialSchema for SignedCursor {
    fn schema() -> RefOr<Schema> {
        opaque("^[0-9A-Za-z_-]+$".to_owned())
    }
}

impl ToSchema for SignedCursor {}

#[cfg(test)]
mod tests {
    use super::{CursorError, CursorKey, LENGTH, SignedCursor};
    use crate::ResumeCursor;

    fn cursor() -> ResumeCursor {
        "r1a2b3c.7.ff".parse().expect("a cursor")
    }

    #[test]
    fn a_signed_cursor_leads_back_to_where_it_came_from() {
        let key = CursorKey::new(u32::MAX, b"secret");
        let signed = key.sign(cursor());
        assert_eq!((key.read(signed.as_str()), signed.as_str().len()), (Ok(cursor()), LENGTH));
        assert_eq!(SignedCursor::epoch_of(signed.as_str()), Ok(u32::MAX));
        let far = ResumeCursor { position: i64::MAX, ..cursor() };
        assert_eq!(key.read(key.sign(far).as_str()), Ok(far));
    }

    #[test]
    fn anything_else_is_refused() {
        let key = CursorKey::new(1, b"secret");
        let good = key.sign(cursor()).to_string();
        for foreign in [CursorKey::new(1, b"another"), CursorKey::new(2, b"secret")] {
            assert_eq!(key.read(foreign.sign(cursor()).as_str()), Err(CursorError));
        }
        for at in 0..good.len() {
            for other in ["A", "B", "_", "=", "é", ""] {
                let forged = [&good[..at], other, &good[at + 1..]].concat();
                assert_eq!(key.read(&forged).is_ok(), forged == good, "{forged}");
            }
        }
        for text in [
            "",
            "r1a2b3c.7",
            "null",
            &good[1..],
            &format!("{good}A"),
            &format!("{good}=="),
            &"A".repeat(9_999),
        ] {
            assert_eq!(key.read(text), Err(CursorError), "{text:?}");
        }
    }
}
