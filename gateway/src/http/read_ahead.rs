//! The bytes that hyper has read and not parsed yet, as far as a connection needs to know them.
//!
//! hyper hides two facts: that a request had both `Content-Length` and `Transfer-Encoding`, and
//! that the beginning of a next head came together with a request. Both are seen here, in the bytes
//! of a head that begins a read. In a head behind another request of the same read the two lengths
//! are not seen; hyper then goes by the transfer coding and closes, as RFC 9112 section 6.3 asks.

use memchr::{memchr_iter, memmem};

/// The length of a body that ends by itself.
pub const CHUNKED: u64 = u64::MAX;
const HEAD_END: &[u8] = b"\r\n\r\n";

#[derive(Debug, Default)]
pub struct ReadAhead {
    /// A head that has not ended; empty for one that came whole. hyper bounds a head.
    head: Vec<u8>,
    /// The bytes that came after the end of the last head.
    beyond: u64,
    /// The last bytes.
    tail: [u8; HEAD_END.len()],
}

impl ReadAhead {
    /// Notes bytes of a head. Returns true if it has ended, and had both lengths.
    pub fn note_head(&mut self, read: &[u8]) -> bool {
        self.note_tail(read);
        self.beyond = 0;
        let is_whole = self.head.is_empty();
        if !is_whole {
            self.head.extend_from_slice(read);
        }
        let head = if is_whole { read } else { &self.head };
        let Some(end) = memmem::find(head, HEAD_END) else {
            if is_whole {
                self.head = read.to_vec();
            }
            return false;
        };
        let ambiguous = has_field(&head[..end], b"transfer-encoding:")
            && has_field(&head[..end], b"content-length:");
        self.beyond = (head.len() - end - HEAD_END.len()) as u64;
        self.head = Vec::new();
        ambiguous
    }

    /// Notes bytes that came while a request was served.
    pub fn note_more(&mut self, read: &[u8]) {
        self.note_tail(read);
        self.beyond += read.len() as u64;
        self.head = Vec::new();
    }

    /// Returns true if the bytes behind the last request, whose body had this length, begin another
    /// head. What ends like a head is a whole one, which was served too.
    pub fn has_begun(&self, body: u64) -> bool {
        self.tail != HEAD_END && (body == CHUNKED || self.beyond > body)
    }

    fn note_tail(&mut self, read: &[u8]) {
        for &byte in &read[read.len().saturating_sub(self.tail.len())..] {
            self.tail.rotate_left(1);
            self.tail[HEAD_END.len() - 1] = byte;
        }
    }
}

fn has_field(head: &[u8], name: &[u8]) -> bool {
    memchr_iter(b'\n', head)
        .filter_map(|end| head.get(end + 1..end + 1 + name.len()))
        .any(|begin| begin.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::{CHUNKED, ReadAhead};

    #[test]
    fn both_lengths_are_seen_however_the_head_is_cut() {
        let head =
            b"POST / HTTP/1.1\r\ncontent-LENGTH: 3\r\nTransfer-Encoding: chunked\r\n\r\nContent-";
        for chunk in [1, 7, head.len()] {
            let mut ahead = ReadAhead::default();
            let seen =
                head[..head.len() - 8].chunks(chunk).map(|read| ahead.note_head(read)).last();
            assert_eq!(seen, Some(true), "{chunk}");
        }
        let body =
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\ncontent-length: 1\r\n\r\n";
        assert!(!ReadAhead::default().note_head(body));
    }

    #[test]
    fn a_half_head_behind_a_request_has_begun() {
        let begun = |reads: &[&[u8]], body| {
            let mut ahead = ReadAhead::default();
            ahead.note_head(reads[0]);
            reads[1..].iter().for_each(|read| ahead.note_more(read));
            ahead.has_begun(body)
        };
        assert!(!begun(&[b"GET / HTTP/1.1\r\n\r\n"], 0));
        assert!(!begun(&[b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"], 0));
        assert!(begun(&[b"GET / HTTP/1.1\r\n\r\nGET / HT"], 0));
        assert!(!begun(&[b"POST / HTTP/1.1\r\n\r\n{", b"}"], 2));
        assert!(begun(&[b"POST / HTTP/1.1\r\n\r\n{", b"}G"], 2));
        assert!(!begun(&[b"POST / HTTP/1.1\r\n\r\n", b"2\r\n{}\r\n0\r\n\r\n"], CHUNKED));
        assert!(begun(&[b"POST / HTTP/1.1\r\n\r\n", b"2\r\n{}\r\n0\r\n\r\nG"], CHUNKED));
    }
}
