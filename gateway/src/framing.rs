//! The bytes of WebSocket frames that go out (RFC 6455 section 5.2): never masked, never in fragments.

use bytes::{BufMut as _, BytesMut};
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::OpCode;

/// A ping without payload.
pub const PING: &[u8] = &[0x89, 0];

/// Adds a frame.
pub fn put_frame(bytes: &mut BytesMut, opcode: OpCode, payload: &[u8]) {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    let length = payload.len() as u64;
    bytes.reserve(header.len(length) + payload.len());
    header.format(length, &mut bytes.writer()).expect("writing to memory does not fail");
    bytes.put_slice(payload);
}
