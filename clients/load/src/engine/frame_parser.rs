//! WebSocket frames of a client (RFC 6455 section 5): parses those of the gateway and writes those
//! of the client.
//!
//! Between two frames a parser takes 8 bytes and no heap memory, because an engine holds very many
//! idle sockets.

use thiserror::Error;

/// Maximum bytes of a message; a longer one is an error of the gateway.
const MAX_MESSAGE: usize = 64 << 20;

/// The length byte that announces a length in the next two bytes.
const TWO_BYTES: u8 = 0x7E;

/// The opcode of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// A text message.
    Text = 0x1,
    /// The end of the connection.
    Close = 0x8,
    /// A check that the peer is alive.
    Ping = 0x9,
    /// The answer to a ping.
    Pong = 0xA,
}

/// A violation of RFC 6455 by the gateway.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum FrameViolation {
    /// Section 5.1.
    #[error("a masked frame")]
    Masked,
    /// Section 5.2: no extension was agreed on.
    #[error("a frame with reserved bits or an unknown opcode")]
    Reserved,
    /// The gateway only sends text messages.
    #[error("a binary message")]
    Binary,
    /// Section 5.5.
    #[error("a control frame that is fragmented or too long")]
    Control,
    /// Section 5.4.
    #[error("fragments out of order")]
    Fragments,
    /// See [`MAX_MESSAGE`].
    #[error("a message of more than 64 MiB")]
    TooLong,
}

/// A parser of frames, whatever pieces their bytes come in.
#[derive(Debug, Default)]
pub struct FrameParser {
    unfinished: Option<Box<Unfinished>>,
}

#[derive(Debug, Default)]
struct Unfinished {
    /// The bytes of an incomplete frame.
    bytes: Vec<u8>,
    /// The fragments of a message so far.
    message: Option<Vec<u8>>,
}

struct Head {
    last: bool,
    opcode: u8,
    /// The position of the payload, from the beginning of the frame.
    payload: std::ops::Range<usize>,
}

impl FrameParser {
    /// Parses the next bytes. Calls `take` with each message and control frame that they complete.
    ///
    /// # Errors
    /// A [`FrameViolation`]; the connection is unusable then.
    pub fn read(
        &mut self,
        input: &[u8],
        mut take: impl FnMut(Opcode, &[u8]),
    ) -> Result<(), FrameViolation> {
        let mut unfinished = self.unfinished.take();
        if let Some(state) = &mut unfinished
            && !state.bytes.is_empty()
        {
            let mut bytes = std::mem::take(&mut state.bytes);
            bytes.extend_from_slice(input);
            let used = frames(&bytes, &mut unfinished, &mut take)?;
            bytes.drain(..used);
            self.keep(unfinished, bytes);
        } else {
            let used = frames(input, &mut unfinished, &mut take)?;
            self.keep(unfinished, input[used..].to_vec());
        }
        Ok(())
    }

    fn keep(&mut self, unfinished: Option<Box<Unfinished>>, bytes: Vec<u8>) {
        let message = unfinished.and_then(|state| state.message);
        if !bytes.is_empty() || message.is_some() {
            self.unfinished = Some(Box::new(Unfinished { bytes, message }));
        }
    }
}

/// Calls `take` with each complete frame in `bytes`. Returns the number of bytes used.
fn frames(
    bytes: &[u8],
    unfinished: &mut Option<Box<Unfinished>>,
    take: &mut impl FnMut(Opcode, &[u8]),
) -> Result<usize, FrameViolation> {
    let mut at = 0;
    while let Some(head) = head(&bytes[at..])? {
        let Some(payload) = bytes[at..].get(head.payload.clone()) else { break };
        match (head.opcode, head.last) {
            (0x0, last) => {
                let message = unfinished
                    .as_mut()
                    .and_then(|state| state.message.as_mut())
                    .ok_or(FrameViolation::Fragments)?;
                if message.len() + payload.len() > MAX_MESSAGE {
                    return Err(FrameViolation::TooLong);
                }
                message.extend_from_slice(payload);
                if last
                    && let Some(message) =
                        unfinished.as_mut().and_then(|state| state.message.take())
                {
                    take(Opcode::Text, &message);
                }
            }
            (0x1, _) if unfinished.as_ref().is_some_and(|state| state.message.is_some()) => {
                return Err(FrameViolation::Fragments);
            }
            (0x1, true) => take(Opcode::Text, payload),
            (0x1, false) => unfinished.get_or_insert_default().message = Some(payload.to_vec()),
            (0x2, _) => return Err(FrameViolation::Binary),
            (0x8, _) => take(Opcode::Close, payload),
            (0x9, _) => take(Opcode::Ping, payload),
            (0xA, _) => take(Opcode::Pong, payload),
            _ => return Err(FrameViolation::Reserved),
        }
        at += head.payload.end;
    }
    Ok(at)
}

/// Parses the head of the frame at the beginning of `bytes`; returns `None` if it is incomplete.
fn head(bytes: &[u8]) -> Result<Option<Head>, FrameViolation> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    let (last, opcode) = (first & 0x80 != 0, first & 0x0F);
    if first & 0x70 != 0 {
        return Err(FrameViolation::Reserved);
    }
    if second & 0x80 != 0 {
        return Err(FrameViolation::Masked);
    }
    if opcode & 0x8 != 0 && (!last || second & 0x7F > 125) {
        return Err(FrameViolation::Control);
    }
    let (start, length) = match second & 0x7F {
        TWO_BYTES => match rest.first_chunk::<2>() {
            Some(length) => (4, u64::from(u16::from_be_bytes(*length))),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(length) => (10, u64::from_be_bytes(*length)),
            None => return Ok(None),
        },
        short => (2, u64::from(short)),
    };
    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length <= MAX_MESSAGE)
        .ok_or(FrameViolation::TooLong)?;
    Ok(Some(Head { last, opcode, payload: start..start + length }))
}

/// Appends a frame of a client, masked (section 5.3).
///
/// # Panics
/// If the payload is longer than 65,535 bytes; the commands of this program are far shorter.
pub fn put_frame(opcode: Opcode, payload: &[u8], mask: [u8; 4], output: &mut Vec<u8>) {
    output.push(0x80 | opcode as u8);
    if payload.len() < 126 {
        output.push(0x80 | u8::try_from(payload.len()).expect("it is below 126"));
    } else {
        output.push(0x80 | TWO_BYTES);
        let length = u16::try_from(payload.len()).expect("commands are short");
        output.extend_from_slice(&length.to_be_bytes());
    }
    output.extend_from_slice(&mask);
    output.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{FrameParser, FrameViolation, Opcode, put_frame};

    type Heard = Vec<(Opcode, Vec<u8>)>;

    fn server_frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..126 => frame.push(u8::try_from(short).expect("short")),
            long @ 126..=0xFFFF => {
                frame.push(126);
                frame.extend_from_slice(&u16::try_from(long).expect("two bytes").to_be_bytes());
            }
            huge => {
                frame.push(127);
                frame.extend_from_slice(&(huge as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(payload);
        frame
    }

    fn receive<'a>(
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(Heard, FrameParser), FrameViolation> {
        let (mut parser, mut heard) = (FrameParser::default(), Vec::new());
        for piece in pieces {
            parser.read(piece, |opcode, payload| heard.push((opcode, payload.to_vec())))?;
        }
        Ok((heard, parser))
    }

    #[derive(Clone, Debug)]
    enum Sent {
        Text(Vec<Vec<u8>>),
        Control(Opcode, Vec<u8>),
    }

    fn sent() -> impl Strategy<Value = Sent> {
        let bytes = |most| prop::collection::vec(any::<u8>(), 0..most);
        prop_oneof![
            4 => prop::collection::vec(bytes(300), 1..4).prop_map(Sent::Text),
            1 => bytes(70_000).prop_map(|text| Sent::Text(vec![text])),
            2 => (prop_oneof![Just(Opcode::Ping), Just(Opcode::Pong), Just(Opcode::Close)], bytes(126))
                .prop_map(|(opcode, payload)| Sent::Control(opcode, payload)),
        ]
    }

    proptest! {
        #[test]
        fn frames_are_heard_whole_whatever_pieces_they_come_in(
            sent in prop::collection::vec(sent(), 0..12),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let (mut bytes, mut expected) = (Vec::new(), Vec::new());
            for sent in sent {
                match sent {
                    Sent::Text(fragments) => {
                        let last = fragments.len() - 1;
                        for (number, fragment) in fragments.iter().enumerate() {
                            let first = u8::from(number == 0) | u8::from(number == last) << 7;
                            bytes.extend(server_frame(first, fragment));
                        }
                        expected.push((Opcode::Text, fragments.concat()));
                    }
                    Sent::Control(opcode, payload) => {
                        bytes.extend(server_frame(0x80 | opcode as u8, &payload));
                        expected.push((opcode, payload));
                    }
                }
            }
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let (heard, parser) = receive(cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]])).expect("nothing is wrong");
            prop_assert_eq!(heard, expected);
            prop_assert!(parser.unfinished.is_none(), "memory is held between frames");
        }

        #[test]
        fn rubbish_is_refused_or_waited_for_but_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(receive(bytes.chunks(7)));
        }
    }

    #[test]
    fn what_rfc_6455_forbids_is_a_violation() {
        for (bytes, violation) in [
            (&[0x81, 0x80, 0, 0, 0, 0][..], FrameViolation::Masked),
            (&[0xC1, 0], FrameViolation::Reserved),
            (&[0x83, 0], FrameViolation::Reserved),
            (&[0x82, 0], FrameViolation::Binary),
            (&[0x09, 0], FrameViolation::Control),
            (&[0x89, 126, 0, 126], FrameViolation::Control),
            (&[0x80, 0], FrameViolation::Fragments),
            (&[0x01, 0, 0x81, 0], FrameViolation::Fragments),
            (&[0x81, 127, 0, 0, 0, 0, 0x10, 0, 0, 0], FrameViolation::TooLong),
        ] {
            assert_eq!(receive([bytes]).expect_err("a violation"), violation, "{bytes:?}");
        }
    }

    #[test]
    fn a_control_frame_may_come_between_fragments() {
        let bytes = [&[0x01, 1, b'a'][..], &[0x89, 1, b'?'], &[0x80, 1, b'b']].concat();
        let (heard, _) = receive([bytes.as_slice()]).expect("nothing is wrong");
        assert_eq!(heard, [(Opcode::Ping, b"?".to_vec()), (Opcode::Text, b"ab".to_vec())]);
    }

    #[test]
    fn what_a_client_says_is_masked() {
        let mut output = Vec::new();
        put_frame(Opcode::Text, b"Hello", [0x37, 0xfa, 0x21, 0x3d], &mut output);
        // The example of RFC 6455 section 5.7.
        assert_eq!(output, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        output.clear();
        put_frame(Opcode::Text, &[b'x'; 200], [0; 4], &mut output);
        assert_eq!(output[..4], [0x81, 0xFE, 0, 200]);
        assert_eq!(output.len(), 208);
    }
}
