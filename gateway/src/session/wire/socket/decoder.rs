//! Decodes the bytes of a client into messages (RFC 6455 section 5), without I/O.
//!
//! Between two messages the decoder holds no memory. During a message it holds at most the bound of
//! a message, the header of a frame and the bytes of one read. A text is checked as its bytes
//! arrive, so that what is not UTF-8 is refused with its first wrong byte.

use bytes::{Buf as _, BytesMut};
use galley_protocol::close_code::CloseCode;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{
    CloseCode as RfcCloseCode, Control, Data, OpCode,
};

/// The longest payload of a control frame (RFC 6455 section 5.5).
const MAX_CONTROL: u64 = 125;

#[derive(Debug, PartialEq, Eq)]
pub enum SocketMessage {
    /// A text message, assembled from its fragments.
    Text(String),
    /// A binary message, assembled from its fragments.
    Binary(Vec<u8>),
    /// A ping, to be answered with the same bytes.
    Ping(Vec<u8>),
    Pong,
    /// A fragment of a message, which is not its last one.
    Fragment,
    /// A close frame, with its code if any.
    Close(Option<u16>),
}

#[derive(Debug)]
pub struct Decoder {
    /// The bytes that have been read and not decoded.
    bytes: BytesMut,
    /// The message that has begun; `None` between messages.
    message: Option<Message>,
    /// The error after which nothing is decoded.
    failed: Option<CloseCode>,
    max_message: usize,
}

#[derive(Debug)]
struct Message {
    is_text: bool,
    /// The payload so far, unmasked.
    payload: Vec<u8>,
    /// The length of the payload that is known to be whole characters, if it is a text.
    checked: usize,
    /// The frame whose payload has not arrived whole; `None` between two frames.
    frame: Option<OpenFrame>,
}

#[derive(Debug)]
struct OpenFrame {
    is_final: bool,
    mask: [u8; 4],
    /// The bytes of its payload that have not arrived.
    missing: usize,
}

impl Decoder {
    /// Creates a decoder that begins with bytes that have been read.
    pub fn new(bytes: BytesMut, max_message: usize) -> Self {
        let mut decoder = Self { bytes, message: None, failed: None, max_message };
        decoder.tidy(); // an empty buffer keeps its capacity: hyper's has 8 KiB
        decoder
    }

    /// Returns the buffer for the next read, with room for at least `room` bytes.
    pub fn room(&mut self, room: usize) -> &mut BytesMut {
        self.bytes.reserve(room);
        &mut self.bytes
    }

    /// Frees an empty buffer: the memory of a message is not kept for the idle time after it.
    pub fn tidy(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
        }
    }

    /// Returns true if no part of a message is in memory.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.message.is_none() && self.failed.is_none()
    }

    /// Returns the next message, or `None` while it is incomplete. A frame that is too long is
    /// refused before its payload has arrived. An error is the code with which to close; it stays.
    pub fn decode(&mut self) -> Result<Option<SocketMessage>, CloseCode> {
        if let Some(code) = self.failed {
            return Err(code);
        }
        self.decode_next().inspect_err(|code| self.failed = Some(*code))
    }

    fn decode_next(&mut self) -> Result<Option<SocketMessage>, CloseCode> {
        loop {
            if let Some(message) = self.message.take_if(|message| message.frame.is_some()) {
                let (message, is_whole) = message.receive(&mut self.bytes)?;
                self.tidy();
                if is_whole {
                    return message.finish().map(Some);
                }
                let is_waiting = message.frame.is_some();
                self.message = Some(message);
                return Ok((!is_waiting).then_some(SocketMessage::Fragment));
            }
            let Some((header, start, length)) = self.header()? else { return Ok(None) };
            let mask = header.mask.ok_or(CloseCode::BadProtocol)?;
            let control = match header.opcode {
                OpCode::Control(control) => control,
                OpCode::Data(data) => {
                    self.bytes.advance(start);
                    let frame = OpenFrame { is_final: header.is_final, mask, missing: length };
                    let begun = self.message.take();
                    self.message = Some(Message::go_on(begun, data == Data::Text, frame));
                    continue;
                }
            };
            let Some(masked) = self.bytes.get(start..start + length) else { return Ok(None) };
            let payload = unmask(masked, mask);
            self.bytes.advance(start + length);
            self.tidy();
            return message(control, payload).map(Some);
        }
    }

    /// Returns the next header, its length and that of its payload. Checks it before its payload
    /// has arrived.
    fn header(&self) -> Result<Option<(FrameHeader, usize, usize)>, CloseCode> {
        let mut read = std::io::Cursor::new(&self.bytes);
        // The only error of `parse` is a reserved opcode.
        let Some((header, length)) =
            FrameHeader::parse(&mut read).map_err(|_| CloseCode::BadProtocol)?
        else {
            return Ok(None);
        };
        let size = usize::try_from(read.position()).expect("a header is a few bytes");
        // A client masks (section 5.1). No negotiated extension uses the reserved bits, and a
        // length has the shortest encoding (section 5.2).
        let is_sound = header.mask.is_some()
            && !(header.rsv1 || header.rsv2 || header.rsv3)
            && size == header.len(length)
            && match header.opcode {
                OpCode::Control(_) => header.is_final && length <= MAX_CONTROL,
                OpCode::Data(Data::Continue) => self.message.is_some(),
                OpCode::Data(Data::Text | Data::Binary) => self.message.is_none(),
                OpCode::Data(Data::Reserved(_)) => false,
            };
        if !is_sound {
            return Err(CloseCode::BadProtocol);
        }
        let room = self.max_message - self.message.as_ref().map_or(0, |begun| begun.payload.len());
        match usize::try_from(length) {
            Ok(length) if length <= room || matches!(header.opcode, OpCode::Control(_)) => {
                Ok(Some((header, size, length)))
            }
            Ok(_) | Err(_) => Err(CloseCode::TooBig),
        }
    }
}

impl Message {
    /// Goes on with a message, or begins one.
    fn go_on(begun: Option<Self>, is_text: bool, frame: OpenFrame) -> Self {
        match begun {
            Some(begun) => Self { frame: Some(frame), ..begun },
            None => Self { is_text, payload: Vec::new(), checked: 0, frame: Some(frame) },
        }
    }

    /// Takes what has arrived of the open frame. Returns true with the end of the message.
    fn receive(mut self, bytes: &mut BytesMut) -> Result<(Self, bool), CloseCode> {
        let Some(mut frame) = self.frame.take() else { return Ok((self, false)) };
        let arrived = frame.missing.min(bytes.len());
        let payload = unmask(&bytes[..arrived], frame.mask);
        bytes.advance(arrived);
        if self.payload.is_empty() {
            self.payload = payload;
        } else {
            self.payload.extend_from_slice(&payload);
        }
        frame.missing -= arrived;
        if frame.missing == 0 && frame.is_final {
            return Ok((self, true));
        }
        self.check()?;
        frame.mask.rotate_left(arrived % 4);
        if frame.missing > 0 {
            self.frame = Some(frame);
        }
        Ok((self, false))
    }

    /// Checks the part of an unfinished text that is new. A character may still be incomplete.
    fn check(&mut self) -> Result<(), CloseCode> {
        if self.is_text {
            let new = &self.payload[self.checked..];
            self.checked += match std::str::from_utf8(new) {
                Ok(_) => new.len(),
                Err(error) if error.error_len().is_none() => error.valid_up_to(),
                Err(_) => return Err(CloseCode::NotUtf8),
            };
        }
        Ok(())
    }

    fn finish(self) -> Result<SocketMessage, CloseCode> {
        if !self.is_text {
            return Ok(SocketMessage::Binary(self.payload));
        }
        String::from_utf8(self.payload).map(SocketMessage::Text).map_err(|_| CloseCode::NotUtf8)
    }
}

fn unmask(masked: &[u8], mask: [u8; 4]) -> Vec<u8> {
    masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
}

fn message(control: Control, payload: Vec<u8>) -> Result<SocketMessage, CloseCode> {
    match control {
        Control::Ping => Ok(SocketMessage::Ping(payload)),
        Control::Pong => Ok(SocketMessage::Pong),
        Control::Close => match payload.split_first_chunk() {
            None if payload.is_empty() => Ok(SocketMessage::Close(None)),
            Some((code, reason)) if may_close_with(u16::from_be_bytes(*code)) => {
                std::str::from_utf8(reason).map_err(|_| CloseCode::NotUtf8)?;
                Ok(SocketMessage::Close(Some(u16::from_be_bytes(*code))))
            }
            None | Some(_) => Err(CloseCode::BadProtocol),
        },
        Control::Reserved(_) => Err(CloseCode::BadProtocol),
    }
}

/// Returns true if a close frame may contain this code (RFC 6455 section 7.4).
fn may_close_with(code: u16) -> bool {
    RfcCloseCode::from(code).is_allowed()
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use galley_protocol::close_code::CloseCode;
    use proptest::prelude::*;

    use super::{Decoder, SocketMessage};

    const BOUND: usize = 1_000;

    /// Returns a masked frame with this first byte.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [0x11, 0x22, 0x33, 0x44];
        let length = u16::try_from(payload.len()).expect("a small payload");
        let mut frame = match u8::try_from(length) {
            Ok(short) if short < 126 => vec![first, 0x80 | short],
            Ok(_) | Err(_) => [&[first, 0x80 | 0x7E][..], &length.to_be_bytes()].concat(),
        };
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    /// Decodes these bytes in chunks. Returns the messages and the violation, if any.
    fn decode(bytes: &[u8], chunk: usize) -> (Vec<SocketMessage>, Option<CloseCode>) {
        let mut decoder = Decoder::new(BytesMut::new(), BOUND);
        let mut messages = Vec::new();
        for part in bytes.chunks(chunk) {
            decoder.room(part.len()).extend_from_slice(part);
            loop {
                match decoder.decode() {
                    Ok(Some(SocketMessage::Fragment)) => {}
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(violation) => return (messages, Some(violation)),
                }
            }
        }
        (messages, None)
    }

    fn text(text: &str) -> SocketMessage {
        SocketMessage::Text(text.to_owned())
    }

    #[test]
    fn fragments_become_one_message_and_control_frames_come_between_them() {
        let e_acute = "é".as_bytes();
        let bytes = [
            frame(0x01, b"caf"),
            frame(0x89, b"?"),
            frame(0x00, &e_acute[..1]),
            frame(0x80, &e_acute[1..]),
        ]
        .concat();
        assert_eq!(
            decode(&bytes, 3),
            (vec![SocketMessage::Ping(b"?".to_vec()), text("café")], None)
        );
        let pongs = [frame(0x8A, b""), frame(0x88, &[0x03, 0xE8, b'x']), frame(0x88, b"")].concat();
        assert_eq!(
            decode(&pongs, 9),
            (
                vec![
                    SocketMessage::Pong,
                    SocketMessage::Close(Some(1_000)),
                    SocketMessage::Close(None)
                ],
                None
            )
        );
    }

    #[test]
    fn what_the_protocol_does_not_allow_is_told_with_its_header() {
        let long = vec![b'x'; 126];
        let unmasked = [0x81, 0x01, b'x'];
        let wasteful = [0x81, 0x80 | 0x7E, 0x00, 0x01, 0, 0, 0, 0, b'x'];
        let cases = [
            &frame(0xC1, b"")[..], // a reserved bit
            &frame(0x83, b""),     // a reserved opcode
            &frame(0x80, b""),     // a continuation of nothing
            &frame(0x09, b""),     // a control frame in parts
            &frame(0x89, &long),   // a long control frame
            &frame(0x88, b"x"),    // half a close code
            &frame(0x88, &[0, 1]), // a close code that does not exist
            &unmasked,
            &wasteful,
            &[frame(0x01, b"x"), frame(0x81, b"x")].concat(), // a message within a message
            &[frame(0x01, b"x"), frame(0x82, b"x")].concat(),
        ];
        for case in cases {
            assert_eq!(decode(case, 1_000), (vec![], Some(CloseCode::BadProtocol)), "{case:?}");
        }
    }

    #[test]
    fn what_is_not_utf_8_is_refused_with_its_first_wrong_byte() {
        let refused = |bytes: &[u8], chunk| {
            assert_eq!(decode(bytes, chunk), (vec![], Some(CloseCode::NotUtf8)), "{bytes:x?}");
        };
        refused(&frame(0x81, b"x\xFF"), 1_000);
        refused(&frame(0x81, b"\xC3"), 1);
        refused(&frame(0x88, &[3, 232, 0xFF]), 1_000);
        // The rest of the frame, or of the message, never comes.
        let long = frame(0x81, &[b"\xCE\xBA\xED\xA0", &[b'x'; 50][..]].concat());
        refused(&long[..10], 1);
        refused(&[frame(0x01, b"\xF4"), frame(0x00, b"\x90")].concat(), 3);
    }

    #[test]
    fn a_binary_message_is_assembled_too() {
        let bytes = [frame(0x02, &[0xFF, 0]), frame(0x80, &[0xFE])].concat();
        assert_eq!(decode(&bytes, 1), (vec![SocketMessage::Binary(vec![0xFF, 0, 0xFE])], None));
    }

    #[test]
    fn a_message_beyond_the_bound_is_refused_before_it_is_read() {
        let announced = [0x81, 0x80 | 0x7F, 0x7F, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0];
        assert_eq!(decode(&announced, 14), (vec![], Some(CloseCode::TooBig)));
        let (half, most) = (vec![b'x'; BOUND / 2], vec![b'x'; BOUND]);
        assert_eq!(decode(&frame(0x81, &most), 100).0.len(), 1);
        let parts = [frame(0x01, &half), frame(0x00, &half), frame(0x80, b"x")].concat();
        assert_eq!(decode(&parts, 7), (vec![], Some(CloseCode::TooBig)));
    }

    proptest! {
        #[test]
        fn messages_come_out_however_they_are_cut(messages in prop::collection::vec(".{0,200}", 0..8), chunk in 1..300_usize) {
            let bytes: Vec<u8> = messages.iter().flat_map(|message| frame(0x81, message.as_bytes())).collect();
            prop_assert_eq!(decode(&bytes, chunk), (messages.iter().map(|message| text(message)).collect(), None));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), chunk in 1..50_usize) {
            decode(&bytes, chunk);
        }
    }
}
