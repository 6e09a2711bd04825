//! The opening handshake and HTTP answers, parsed by hand: a client object of a library for each
//! socket would take too much memory at hundreds of thousands of sockets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use thiserror::Error;

/// The suffix that both sides append to the key (RFC 6455 section 1.3).
const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Maximum header fields of an answer.
const MAX_FIELDS: usize = 64;
/// Maximum bytes of the head and of the body of an answer.
const MAX_ANSWER: usize = 1 << 20;

/// A complete answer.
#[derive(Debug, PartialEq, Eq)]
pub struct UpgradeResponse<'a> {
    /// The status code.
    pub status: u16,
    /// The value of `Sec-WebSocket-Accept`.
    pub accept: Option<&'a [u8]>,
    /// The body; empty when the status is 101.
    pub body: &'a [u8],
    /// Bytes of head and body; what follows belongs to the WebSocket or the event stream.
    pub length: usize,
}

/// An error: the bytes are not an HTTP/1.1 response of known length.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the answer is not HTTP/1.1 with a length")]
pub struct NoAnswer;

/// Returns the value of `Sec-WebSocket-Key`.
#[must_use]
pub fn key(random: [u8; 16]) -> String {
    STANDARD.encode(random)
}

/// Returns true if the gateway's `Sec-WebSocket-Accept` matches this key (section 4.1).
#[must_use]
pub fn accepts(key: &str, accept: Option<&[u8]>) -> bool {
    let digest = Sha1::new().chain_update(key).chain_update(MAGIC).finalize();
    accept == Some(STANDARD.encode(digest).as_bytes())
}

/// Parses the answer at the beginning of `bytes`; returns `None` while it is incomplete.
///
/// # Errors
/// [`NoAnswer`], also if it is longer than 1 MiB.
pub fn answer(bytes: &[u8]) -> Result<Option<UpgradeResponse<'_>>, NoAnswer> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let head = match response.parse(bytes).map_err(|_| NoAnswer)? {
        httparse::Status::Complete(head) => head,
        httparse::Status::Partial if bytes.len() > MAX_ANSWER => return Err(NoAnswer),
        httparse::Status::Partial => return Ok(None),
    };
    let status = response.code.ok_or(NoAnswer)?;
    let field = |name: &str| {
        response
            .headers
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    };
    let accept = field("sec-websocket-accept");
    let length = match field("content-length") {
        Some(length) => std::str::from_utf8(length)
            .ok()
            .and_then(|length| length.parse().ok())
            .ok_or(NoAnswer)?,
        None if matches!(status, 101 | 204 | 304) => 0,
        // The body of an event stream goes on for ever.
        None if field("content-type")
            .is_some_and(|kind| kind.starts_with(b"text/event-stream")) =>
        {
            0
        }
        None => return Err(NoAnswer),
    };
    if length > MAX_ANSWER {
        return Err(NoAnswer);
    }
    let whole = head + length;
    Ok(bytes.get(head..whole).map(|body| UpgradeResponse { status, accept, body, length: whole }))
}

#[cfg(test)]
mod tests {
    use super::{NoAnswer, accepts, answer, key};

    #[test]
    fn the_example_of_the_rfc_is_accepted_and_no_other() {
        let key = key(*b"the sample nonce");
        assert_eq!(key, "dGhlIHNhbXBsZSBub25jZQ==");
        assert!(accepts(&key, Some(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
        assert!(!accepts(&key, Some(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOp=")) && !accepts(&key, None));
    }

    #[test]
    fn an_answer_is_taken_when_it_is_whole() {
        let upgrade =
            b"HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: abc\r\n\r\n\x81\x00";
        let taken = answer(upgrade).expect("an answer").expect("whole");
        assert_eq!(
            (taken.status, taken.accept, taken.length),
            (101, Some(&b"abc"[..]), upgrade.len() - 2)
        );
        let refusal = b"HTTP/1.1 429 Too Many\r\nContent-Length: 2\r\n\r\n{}";
        for part in 0..refusal.len() {
            assert_eq!(answer(&refusal[..part]), Ok(None), "{part}");
        }
        assert_eq!(answer(refusal).expect("an answer").expect("whole").body, b"{}");
    }

    #[test]
    fn what_has_no_length_or_is_not_http_is_no_answer() {
        for bytes in [
            &b"SSH-2.0-OpenSSH\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        ] {
            assert_eq!(answer(bytes), Err(NoAnswer));
        }
    }
}
