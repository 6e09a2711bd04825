//! The encoding of outgoing WebSocket frames (RFC 6455 section 5.2). They are never masked and
//! never fragmented.

use bytes::{BufMut as _, BytesMut};
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::OpCode;

/// A ping without payload.
pub const PING: &[u8] = &[0x89, 0];

pub fn put_frame(bytes: &mut BytesMut, opcode: OpCode, payload: &[u8]) {
    put_frame_of(bytes, opcode, [payload, &[]]);
}

/// Appends a frame whose payload is given in two parts.
pub fn put_frame_of(bytes: &mut BytesMut, opcode: OpCode, [beginning, ending]: [&[u8]; 2]) {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    let length = beginning.len() + ending.len();
    bytes.reserve(header.len(length as u64) + length);
    header.format(length as u64, &mut bytes.writer()).expect("writing to memory does not fail");
    bytes.put_slice(beginning);
    bytes.put_slice(ending);
}
