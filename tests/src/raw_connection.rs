//! A TCP connection to a gateway in bare bytes, for clients that break the protocol.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::patience::within;

/// The bytes that a slow reader reads at once.
const SIP: usize = 16;
const HEAD_END: &[u8] = b"\r\n\r\n";
/// The headers of a WebSocket handshake, with the key of the example in RFC 6455 section 1.3.
pub const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                           Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A connection that is read only on demand.
#[derive(Debug)]
pub struct RawConnection {
    stream: TcpStream,
    read: Vec<u8>,
}

/// The opcode of a frame (RFC 6455 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawOpcode(pub u8);

impl RawOpcode {
    /// A further fragment of a message.
    pub const CONTINUATION: Self = Self(0x0);
    /// A text message.
    pub const TEXT: Self = Self(0x1);
    /// A binary message.
    pub const BINARY: Self = Self(0x2);
    /// The close frame.
    pub const CLOSE: Self = Self(0x8);
    /// A ping.
    pub const PING: Self = Self(0x9);
    /// A pong.
    pub const PONG: Self = Self(0xA);
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct RawAnswer {
    /// The status.
    pub status: u16,
    /// The status line and the headers.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl RawConnection {
    /// Connects to the gateway at this URL.
    pub async fn open(gateway: &str) -> Self {
        Self::connect(gateway, None, None).await
    }

    /// Connects from this address of the loopback network.
    pub async fn open_from(gateway: &str, source: Ipv4Addr) -> Self {
        Self::connect(gateway, Some(source), None).await
    }

    /// Connects with a receive buffer of about `receive_buffer` bytes in the kernel.
    pub async fn open_narrow(gateway: &str, receive_buffer: u32) -> Self {
        Self::connect(gateway, None, Some(receive_buffer)).await
    }

    async fn connect(gateway: &str, source: Option<Ipv4Addr>, receive_buffer: Option<u32>) -> Self {
        let address = gateway.strip_prefix("http://").expect("the tests speak plain HTTP");
        let socket = TcpSocket::new_v4().expect("a socket");
        if let Some(size) = receive_buffer {
            socket.set_recv_buffer_size(size).expect("a size may be asked for");
        }
        if let Some(source) = source {
            socket.bind(SocketAddr::from((source, 0))).expect("an address of the loopback network");
        }
        let connecting = socket.connect(address.parse().expect("an address"));
        let stream = within("a connection", connecting).await.expect("the gateway listens");
        Self { stream, read: Vec::new() }
    }

    /// Upgrades it to a socket, with these headers in addition to the usual ones.
    pub async fn upgrade(&mut self, query: &str, headers: &str) {
        let answer = self.ask_to_upgrade(query, headers).await;
        assert_eq!(answer.status, 101, "{answer:?}");
    }

    /// Like [`RawConnection::upgrade`], for a gateway that may refuse.
    pub async fn ask_to_upgrade(&mut self, query: &str, headers: &str) -> RawAnswer {
        self.send(
            format!("GET /ws{query} HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}{headers}\r\n")
                .as_bytes(),
        )
        .await;
        self.answer().await
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: &[u8]) {
        within("the send", self.stream.write_all(bytes)).await.expect("the gateway reads");
    }

    /// Sends bytes to a gateway that may hang up meanwhile; returns false if it did.
    pub async fn try_send(&mut self, bytes: &[u8]) -> bool {
        within("the send", self.stream.write_all(bytes)).await.is_ok()
    }

    /// Closes the sending half of the connection.
    pub async fn send_nothing_more(&mut self) {
        within("the half close", self.stream.shutdown()).await.expect("an open connection");
    }

    /// Sends as much as the kernel takes at once and returns its length; `None` if the gateway hung
    /// up.
    pub fn send_now(&mut self, bytes: &[u8]) -> Option<usize> {
        match self.stream.try_write(bytes) {
            Ok(sent) => Some(sent),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Some(0),
            Err(_) => None,
        }
    }

    /// Sends one whole frame, masked.
    pub async fn send_frame(&mut self, opcode: RawOpcode, payload: &[u8]) {
        self.send(&frame(0x80 | opcode.0, payload)).await;
    }

    /// Reads and keeps at most `most` bytes; returns their number, 0 at the end.
    async fn read_some(&mut self, most: usize) -> usize {
        let mut buffer = vec![0; most];
        // A reset counts as the end.
        let length = self.stream.read(&mut buffer).await.unwrap_or(0);
        self.read.extend_from_slice(&buffer[..length]);
        length
    }

    /// The next answer over HTTP.
    pub async fn answer(&mut self) -> RawAnswer {
        within("an answer", async {
            loop {
                if let Some(answer) = RawAnswer::parse(&self.read) {
                    self.read.drain(..answer.head.len() + answer.body.len());
                    return answer;
                }
                assert!(
                    self.read_some(4_096).await > 0,
                    "the gateway hung up: {:?}",
                    String::from_utf8_lossy(&self.read)
                );
            }
        })
        .await
    }

    /// Reads a few bytes and drops them; returns false at the end.
    pub async fn sip(&mut self) -> bool {
        self.read.clear();
        self.read_some(SIP).await > 0
    }

    /// The next frame from the gateway; `None` at the end.
    pub async fn frame(&mut self) -> Option<(RawOpcode, Vec<u8>)> {
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

    /// The next text frame with this `type`, as JSON; others are dropped.
    pub async fn frame_of_type(&mut self, kind: &str) -> Value {
        within(kind, async {
            loop {
                match self.frame().await {
                    Some((RawOpcode::TEXT, payload)) => {
                        let frame: Value = serde_json::from_slice(&payload).expect("JSON");
                        if frame["type"] == kind {
                            return frame;
                        }
                    }
                    Some((RawOpcode::PING | RawOpcode::PONG, _)) => {}
                    other => panic!("no {kind} but {other:?}"),
                }
            }
        })
        .await
    }

    /// Reads to the end of the connection and answers a close; returns the close code, if any.
    pub async fn close_code(&mut self) -> Option<u16> {
        within("the end", async {
            let mut code = None;
            while let Some((opcode, payload)) = self.frame().await {
                if opcode == RawOpcode::CLOSE {
                    code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                    self.try_send(&frame(0x80 | RawOpcode::CLOSE.0, &payload)).await;
                }
            }
            code
        })
        .await
    }

    /// Waits for the end of the connection without answering anything.
    pub async fn until_gone(&mut self) {
        while self.read_some(4_096).await > 0 {}
    }

    /// Closes the connection with a reset.
    pub fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO))
            .expect("an open socket");
    }

    /// The connection, and the bytes that were read and not used.
    #[must_use]
    pub fn into_parts(self) -> (TcpStream, Vec<u8>) {
        (self.stream, self.read)
    }
}

impl RawAnswer {
    /// The answer at the start of these bytes, if it is complete.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(HEAD_END.len()).position(|part| part == HEAD_END)? + HEAD_END.len();
        let head = String::from_utf8(bytes[..end].to_vec()).expect("a head is text");
        let status = head.get(9..12).and_then(|status| status.parse().ok()).expect("a status");
        let mut fields = head.lines().filter_map(|line| line.strip_prefix("content-length: "));
        let length = fields.next().map_or(0, |length| length.parse().expect("a number"));
        let body = bytes.get(end..end + length)?.to_vec();
        Some(Self { status, head, body })
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The value of a header, if any.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
    }
}

/// A masked frame of a client with this first byte (FIN, reserved bits, opcode).
#[must_use]
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
    let mut frame = head(first, true, payload.len() as u64);
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// The head of a frame of this length, up to its mask.
#[must_use]
pub fn head(first: u8, masked: bool, length: u64) -> Vec<u8> {
    let mask = if masked { 0x80 } else { 0 };
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length), _) if length < 126 => vec![first, mask | length],
        (_, Ok(length)) => [&[first, mask | 0x7E][..], &length.to_be_bytes()].concat(),
        _ => [&[first, mask | 0x7F][..], &length.to_be_bytes()].concat(),
    }
}

/// The opcode of the first frame, and the lengths of its head and its payload; `None` if it is
/// incomplete.
fn frame_at_the_start_of(bytes: &[u8]) -> Option<(RawOpcode, usize, usize)> {
    let opcode = RawOpcode(bytes.first()? & 0xF);
    Some(match bytes.get(1)? & 0x7F {
        126 => (opcode, 4, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into()),
        127 => (
            opcode,
            10,
            usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?,
        ),
        short => (opcode, 2, short.into()),
    })
}
