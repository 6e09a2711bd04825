//! Event streams (Server-Sent Events): finds the frames in the body of an answer that comes in
//! chunks (RFC 9112 section 7.1).

/// Maximum bytes of a chunk head and of a line; longer ones are an error of the gateway.
const MAX_HEAD: usize = 4_096;
const MAX_LINE: usize = 64 << 20;

/// A reader of one event stream, whatever pieces its bytes come in.
#[derive(Debug, Default)]
pub struct EventReader {
    /// The bytes of a chunk head that is not complete.
    head: Vec<u8>,
    /// The bytes of the current chunk that are still to come, with the line end behind it.
    remaining: usize,
    /// The bytes of a line that is not complete.
    line: Vec<u8>,
}

impl EventReader {
    /// Reads the next bytes. Calls `take` with the data of each event that they complete.
    ///
    /// # Errors
    /// A message: the stream has ended, or it is not one.
    pub fn read(&mut self, mut bytes: &[u8], mut take: impl FnMut(&[u8])) -> Result<(), String> {
        while !bytes.is_empty() {
            if self.remaining == 0 {
                let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                    self.head.extend_from_slice(bytes);
                    return if self.head.len() > MAX_HEAD { Err(no_chunk()) } else { Ok(()) };
                };
                self.head.extend_from_slice(&bytes[..end]);
                bytes = &bytes[end + 1..];
                match chunk_length(&std::mem::take(&mut self.head)).ok_or_else(no_chunk)? {
                    0 => return Err("the gateway ended an event stream".to_owned()),
                    length => self.remaining = length + LINE_END,
                }
            }
            let (now, later) = bytes.split_at(self.remaining.min(bytes.len()));
            // The two bytes behind a chunk are no data.
            let data = now.len().min(self.remaining.saturating_sub(LINE_END));
            self.remaining -= now.len();
            self.lines(&now[..data], &mut take)?;
            bytes = later;
        }
        Ok(())
    }

    fn lines(&mut self, data: &[u8], take: &mut impl FnMut(&[u8])) -> Result<(), String> {
        for part in data.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() > MAX_LINE {
                return Err("the gateway sent an event of more than 64 MiB".to_owned());
            }
            if self.line.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                // Each frame is one line of data; the other fields repeat parts of it.
                if let Some(frame) = line.strip_prefix(b"data: ") {
                    take(frame.trim_ascii_end());
                }
            }
        }
        Ok(())
    }
}

/// Bytes of a line end.
const LINE_END: usize = 2;

fn chunk_length(head: &[u8]) -> Option<usize> {
    let digits = std::str::from_utf8(head).ok()?.split(';').next()?.trim();
    let length = usize::from_str_radix(digits, 16).ok()?;
    (length <= MAX_LINE).then_some(length)
}

fn no_chunk() -> String {
    "the gateway sent an event stream without chunks".to_owned()
}

#[cfg(test)]
mod tests {
    use super::EventReader;

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let events =
            "event: a\nid: r1.1\ndata: {\"one\":1}\n\n:\n\nevent: b\ndata: {\"two\":2}\n\n";
        let (first, second) = events.split_at(20);
        let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
        let bytes = chunk(first) + &chunk(second);
        for piece in 1..bytes.len() {
            let (mut reader, mut frames) = (EventReader::default(), Vec::new());
            for part in bytes.as_bytes().chunks(piece) {
                let take = |frame: &[u8]| frames.push(String::from_utf8_lossy(frame).into_owned());
                reader.read(part, take).expect("an event stream");
            }
            assert_eq!(frames, [r#"{"one":1}"#, r#"{"two":2}"#], "{piece}");
            let end = reader.read(b"0\r\n\r\n", |_| {}).expect_err("it has ended");
            assert!(end.contains("ended"), "{end}");
        }
    }

    #[test]
    fn something_else_is_no_event_stream() {
        for wrong in [&b"<html>\n"[..], b"fffffffffff\r\n", &[b'a'; 5_000]] {
            assert!(EventReader::default().read(wrong, |_| {}).is_err());
        }
    }
}
