//! Decodes the bytes of a client into messages (RFC 6455 section 5), without I/O.
//!
//! Between two messages the decoder holds no memory. During a message it holds at most the bound of
//! a message, the header of a frame and the bytes of one read.

use bytes::{Buf as _, BytesMut};
use thiserror::Error;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

/// The longest payload of a control frame (RFC 6455 section 5.5).
const MAX_CONTROL: u64 = 125;

#[derive(Debug, PartialEq, Eq)]
pub enum SocketMessage {
    /// A text message, assembled from its fragments.
    Text(String),
    /// A ping, to be answered with the same bytes.
    Ping(Vec<u8>),
    Pong,
    /// A close frame, with its code if any.
    Close(Option<u16>),
}

#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ProtocolViolation {
    /// Bytes that break the protocol, or are not text.
    #[error("a violation of the protocol")]
    Protocol,
    #[error("a message above the limit")]
    TooBig,
}

#[derive(Debug)]
pub struct Decoder {
    /// The bytes that have been read and not decoded.
    bytes: BytesMut,
    /// The fragments so far of an incomplete message; `None` between messages.
    begun: Option<Vec<u8>>,
    max_message: usize,
}

impl Decoder {
    /// Creates a decoder that begins with bytes that have been read.
    pub fn new(bytes: BytesMut, max_message: usize) -> Self {
        let mut decoder = Self { bytes, begun: None, max_message };
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
        self.bytes.is_empty() && self.begun.is_none()
    }

    /// Returns the next message, or `None` while it is incomplete. A frame that is too long is
    /// refused before its payload has arrived. Nothing may be decoded after an error.
    pub fn decode(&mut self) -> Result<Option<SocketMessage>, ProtocolViolation> {
        while let Some((header, payload)) = self.frame()? {
            let message = match header.opcode {
                OpCode::Control(control) => Some(message(control, payload)?),
                OpCode::Data(data) => self.part(data, header.is_final, payload)?,
            };
            if message.is_some() {
                return Ok(message);
            }
        }
        Ok(None)
    }

    /// Returns the next frame, unmasked.
    fn frame(&mut self) -> Result<Option<(FrameHeader, Vec<u8>)>, ProtocolViolation> {
        let mut read = std::io::Cursor::new(&self.bytes);
        // The only error of `parse` is a reserved opcode.
        let Some((header, length)) =
            FrameHeader::parse(&mut read).map_err(|_| ProtocolViolation::Protocol)?
        else {
            return Ok(None);
        };
        let start = usize::try_from(read.position()).expect("a header is a few bytes");
        self.allow(&header, length, start)?;
        let mask = header.mask.ok_or(ProtocolViolation::Protocol)?;
        let end = start + usize::try_from(length).map_err(|_| ProtocolViolation::TooBig)?;
        let Some(masked) = self.bytes.get(start..end) else { return Ok(None) };
        let payload =
            masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        self.bytes.advance(end);
        self.tidy();
        Ok(Some((header, payload)))
    }

    /// Checks a header before its payload has arrived.
    fn allow(
        &self,
        header: &FrameHeader,
        length: u64,
        size: usize,
    ) -> Result<(), ProtocolViolation> {
        // A client masks (section 5.1). No negotiated extension uses the reserved bits, and a
        // length has the shortest encoding (section 5.2).
        if header.mask.is_none()
            || header.rsv1
            || header.rsv2
            || header.rsv3
            || size != header.len(length)
        {
            return Err(ProtocolViolation::Protocol);
        }
        match header.opcode {
            OpCode::Control(_) if header.is_final && length <= MAX_CONTROL => Ok(()),
            OpCode::Control(_) => Err(ProtocolViolation::Protocol),
            OpCode::Data(data) => {
                let begun = self.begun.as_ref().map(Vec::len);
                if length > (self.max_message - begun.unwrap_or(0)) as u64 {
                    return Err(ProtocolViolation::TooBig);
                }
                match (data, begun) {
                    (Data::Text, None) | (Data::Continue, Some(_)) => Ok(()),
                    // Commands are text: binary messages are not part of this protocol.
                    (Data::Text | Data::Continue | Data::Binary | Data::Reserved(_), _) => {
                        Err(ProtocolViolation::Protocol)
                    }
                }
            }
        }
    }

    /// Adds a fragment. Returns the message if it was the last one.
    fn part(
        &mut self,
        data: Data,
        is_final: bool,
        payload: Vec<u8>,
    ) -> Result<Option<SocketMessage>, ProtocolViolation> {
        let whole = match (data, self.begun.take()) {
            (Data::Continue, Some(mut begun)) => {
                begun.extend_from_slice(&payload);
                begun
            }
            (Data::Continue | Data::Text | Data::Binary | Data::Reserved(_), _) => payload,
        };
        if is_final {
            return Ok(Some(SocketMessage::Text(
                String::from_utf8(whole).map_err(|_| ProtocolViolation::Protocol)?,
            )));
        }
        self.begun = Some(whole);
        Ok(None)
    }
}

fn message(control: Control, payload: Vec<u8>) -> Result<SocketMessage, ProtocolViolation> {
    match control {
        Control::Ping => Ok(SocketMessage::Ping(payload)),
        Control::Pong => Ok(SocketMessage::Pong),
        Control::Close => match payload.split_first_chunk() {
            None if payload.is_empty() => Ok(SocketMessage::Close(None)),
            Some((code, reason))
                if may_close_with(u16::from_be_bytes(*code))
                    && std::str::from_utf8(reason).is_ok() =>
            {
                Ok(SocketMessage::Close(Some(u16::from_be_bytes(*code))))
            }
            None | Some(_) => Err(ProtocolViolation::Protocol),
        },
        Control::Reserved(_) => Err(ProtocolViolation::Protocol),
    }
}

/// Returns true if a close frame may contain this code (RFC 6455 section 7.4).
fn may_close_with(code: u16) -> bool {
    CloseCode::from(code).is_allowed()
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::{Decoder, ProtocolViolation, SocketMessage};

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
    fn decode(bytes: &[u8], chunk: usize) -> (Vec<SocketMessage>, Option<ProtocolViolation>) {
        let mut decoder = Decoder::new(BytesMut::new(), BOUND);
        let mut messages = Vec::new();
        for part in bytes.chunks(chunk) {
            decoder.room(part.len()).extend_from_slice(part);
            loop {
                match decoder.decode() {
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
            &frame(0x82, b""),     // binary
            &frame(0x80, b""),     // a continuation of nothing
            &frame(0x09, b""),     // a control frame in parts
            &frame(0x89, &long),   // a long control frame
            &frame(0x88, b"x"),    // half a close code
            &frame(0x88, &[0, 1]), // a close code that does not exist
            &frame(0x88, &[3, 232, 0xFF]),
            &frame(0x81, &[0xFF]),
            &unmasked,
            &wasteful,
            &[frame(0x01, b"x"), frame(0x81, b"x")].concat(), // a message within a message
        ];
        for case in cases {
            assert_eq!(
                decode(case, 1_000),
                (vec![], Some(ProtocolViolation::Protocol)),
                "{case:?}"
            );
        }
    }

    #[test]
    fn a_message_beyond_the_bound_is_refused_before_it_is_read() {
        let announced = [0x81, 0x80 | 0x7F, 0x7F, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0];
        assert_eq!(decode(&announced, 14), (vec![], Some(ProtocolViolation::TooBig)));
        let (half, most) = (vec![b'x'; BOUND / 2], vec![b'x'; BOUND]);
        assert_eq!(decode(&frame(0x81, &most), 100).0.len(), 1);
        let parts = [frame(0x01, &half), frame(0x00, &half), frame(0x80, b"x")].concat();
        assert_eq!(decode(&parts, 7), (vec![], Some(ProtocolViolation::TooBig)));
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
