//! The frame of a hero or of the menu, encoded once for all sockets. It carries no cursor, so that it
//! may be sent between any two other frames.

use bytes::{Bytes, BytesMut};
use galley_protocol::frame::ServerFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::framing::put_frame;

/// The frame of a hero or of the menu.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceFrame {
    pub kind: &'static str,
    /// The WebSocket frame.
    pub frame: Bytes,
    /// One line of JSON, a part of `frame`.
    pub text: Bytes,
}

impl ResourceFrame {
    pub fn new(frame: &ServerFrame<'_>) -> Self {
        let text = frame.encode();
        let mut bytes = BytesMut::new();
        put_frame(&mut bytes, OpCode::Data(Data::Text), text.as_bytes());
        let bytes = bytes.freeze();
        let text = bytes.slice(bytes.len() - text.len()..);
        Self { kind: frame.kind(), frame: bytes, text }
    }
}

#[cfg(test)]
mod tests {
    use galley_protocol::frame::ServerFrame;

    use super::ResourceFrame;

    #[test]
    fn the_text_is_the_payload_of_the_frame() {
        let frame = ResourceFrame::new(&ServerFrame::Reconnect { after_ms: 9 });
        assert_eq!(frame.frame[..2], [0x81, u8::try_from(frame.text.len()).expect("short")]);
        assert_eq!(frame.frame[2..], frame.text);
    }
}
