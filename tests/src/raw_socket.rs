//! A WebSocket in bare bytes: for peers that read slowly, or never, or do not answer as they should.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::patience::within;
use crate::{Follower, Picture};

const HEAD_END: &[u8] = b"\r\n\r\n";

/// An upgraded connection, of which nobody reads more than is asked for.
#[derive(Debug)]
pub struct RawSocket {
    stream: TcpStream,
    hero: i64,
    read: Vec<u8>,
}

/// What a frame from the gateway is (RFC 6455 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opcode(pub u8);

impl Opcode {
    /// A text.
    pub const TEXT: Self = Self(0x1);
    /// The last frame.
    pub const CLOSE: Self = Self(0x8);
    /// A question whether the peer lives.
    pub const PING: Self = Self(0x9);
    /// The answer.
    pub const PONG: Self = Self(0xA);
}

impl RawSocket {
    /// Opens a socket of a hero at the gateway at this URL. The kernel keeps about `receive_buffer` bytes that nobody has read.
    pub async fn open(gateway: &str, hero: i64, receive_buffer: u32) -> Self {
        let address = gateway.strip_prefix("http://").expect("the tests speak plain HTTP");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(receive_buffer).expect("a size may be asked for");
        let connecting = socket.connect(address.parse().expect("an address"));
        let stream = within("a connection", connecting).await.expect("the gateway listens");
        let mut socket = Self { stream, hero, read: Vec::new() };
        let head = format!(
            "GET /ws?hero_id={hero} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        socket.stream.write_all(head.as_bytes()).await.expect("the gateway reads");
        let end = loop {
            if let Some(at) = socket.read.windows(HEAD_END.len()).position(|part| part == HEAD_END) {
                break at + HEAD_END.len();
            }
            assert!(within("the handshake", socket.read_some(256)).await > 0, "the gateway hung up");
        };
        let head = String::from_utf8_lossy(&socket.read[..end]).into_owned();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        socket.read.drain(..end);
        socket
    }

    /// Reads at most so many bytes and keeps them; how many came, 0 at the end.
    pub async fn read_some(&mut self, most: usize) -> usize {
        let mut buffer = vec![0; most];
        // A connection that was reset has ended, too.
        let length = self.stream.read(&mut buffer).await.unwrap_or(0);
        self.read.extend_from_slice(&buffer[..length]);
        length
    }

    /// The next frame; nothing at the end.
    pub async fn frame(&mut self) -> Option<(Opcode, Vec<u8>)> {
        loop {
            if let Some((opcode, head, length)) = frame_at_the_start_of(&self.read)
                && self.read.len() >= head + length
            {
                let payload = self.read[head..head + length].to_vec();
                self.read.drain(..head + length);
                return Some((opcode, payload));
            }
            if self.read_some(4_096).await == 0 {
                return None;
            }
        }
    }

    /// Sends a short frame.
    pub async fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        let length = u8::try_from(payload.len()).ok().filter(|length| *length < 126).expect("the payload is short");
        // The mask is 0: the payload stays as it is.
        let head = [0x80 | opcode.0, 0x80 | length, 0, 0, 0, 0];
        within("the send", self.stream.write_all(&[&head, payload].concat())).await.expect("the gateway reads");
    }

    /// Waits for the end of the connection without answering anything.
    pub async fn until_gone(&mut self) {
        while self.read_some(4_096).await > 0 {}
    }

    /// Goes on as an ordinary client, that takes in first what was read so far.
    pub async fn follow(self) -> Follower {
        Follower::take_over(self.stream, self.read, Picture::empty(self.hero, None)).await
    }
}

/// The frame's opcode, and the lengths of its head and its payload.
fn frame_at_the_start_of(bytes: &[u8]) -> Option<(Opcode, usize, usize)> {
    let opcode = Opcode(bytes.first()? & 0xF);
    Some(match bytes.get(1)? & 0x7F {
        126 => (opcode, 4, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into()),
        127 => (opcode, 10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        short => (opcode, 2, short.into()),
    })
}
