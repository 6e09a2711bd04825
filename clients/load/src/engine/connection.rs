//! One connection. It takes at most 128 bytes while it is idle.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mio::net::TcpStream;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{Domain, Protocol, Socket, Type};

use super::event_reader::EventReader;
use super::frame_parser::FrameParser;
use super::load_stream::LoadStream;

/// Receive buffer of a slow reader, in bytes; Linux doubles it.
const SLOW_RECEIVE_BUFFER: usize = 4 * 1_024;
/// Maximum bytes queued for a gateway that does not read; beyond it, [`LoadConnection::write`] fails.
const MAX_OUTPUT: usize = 1 << 20;

/// A slot for one connection, open or not.
#[derive(Debug)]
pub struct LoadConnection {
    pub role: ConnectionRole,
    pub state: SocketState,
    /// When it was due, in microseconds since the engine began; over REST, when it was last used.
    pub since: u64,
    pub parser: FrameParser,
    /// The number of connections so far in this slot.
    pub generation: u32,
    /// Failures since it was last open.
    pub attempts: u32,
    pub welcomed_before: bool,
    /// The resume state of a socket whose frames are checked; `None` for other connections.
    pub follow: Option<Box<Follow>>,
    /// The reader of an event stream; `None` for other connections.
    pub events: Option<Box<EventReader>>,
    stream: Option<LoadStream>,
    /// Bytes that the kernel has not taken yet; see [`MAX_OUTPUT`].
    output: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionRole {
    /// A socket of a hero, or an event stream.
    Hero {
        hero: u32,
        slot: u32,
        slow: bool,
        stream: bool,
    },
    Staff {
        slot: u32,
    },
    Rest,
}

#[derive(Debug)]
pub enum SocketState {
    Closed,
    Connecting,
    Upgrading(Box<Upgrading>),
    /// The WebSocket is open; the welcome frame has not come yet.
    Upgraded,
    /// In use. Over REST it holds the bytes received so far of an answer.
    Open(Vec<u8>),
    /// Given up; no further attempts.
    GivenUp,
}

#[derive(Debug)]
pub struct Upgrading {
    /// The `Sec-WebSocket-Key` of the request.
    pub key: String,
    pub answer: Vec<u8>,
}

/// The resume state of a socket.
#[derive(Debug, Default)]
pub struct Follow {
    pub cursor: String,
}

impl LoadConnection {
    pub fn new(role: ConnectionRole, follow: bool) -> Self {
        Self {
            role,
            state: SocketState::Closed,
            since: 0,
            parser: FrameParser::default(),
            generation: 0,
            attempts: 0,
            welcomed_before: false,
            follow: follow.then(Box::default),
            events: None,
            stream: None,
            output: Vec::new(),
        }
    }

    pub fn is_open(&self) -> bool {
        matches!(self.state, SocketState::Open(_))
    }

    /// Starts the TCP handshake.
    pub fn connect(
        &mut self,
        gateway: SocketAddr,
        source: Option<IpAddr>,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    ) -> io::Result<&mut TcpStream> {
        let socket = Socket::new(Domain::for_address(gateway), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        // Closing sends a reset, so that neither a port in TIME-WAIT nor the connection-tracking
        // table remembers the connection for minutes.
        socket.set_linger(Some(Duration::ZERO))?;
        if matches!(self.role, ConnectionRole::Hero { slow: true, .. }) {
            socket.set_recv_buffer_size(SLOW_RECEIVE_BUFFER)?;
        }
        if let Some(source) = source {
            // Without this option `bind` would choose a port now, one that no other connection of
            // this address uses, and search longer and longer for it.
            #[cfg(target_os = "linux")]
            nix::sys::socket::setsockopt(
                &socket,
                nix::sys::socket::sockopt::IpBindAddressNoPort,
                &true,
            )?;
            socket.bind(&SocketAddr::new(source, 0).into())?;
        }
        match socket.connect(&gateway.into()) {
            Err(error)
                if error.kind() != ErrorKind::WouldBlock
                    && error.raw_os_error() != Some(IN_PROGRESS) =>
            {
                return Err(error);
            }
            Ok(()) | Err(_) => {}
        }
        self.generation += 1;
        self.state = SocketState::Connecting;
        self.parser = FrameParser::default();
        self.output = Vec::new();
        let stream = LoadStream::new(TcpStream::from_std(socket.into()), tls)?;
        Ok(self.stream.insert(stream).tcp())
    }

    /// Returns true if a short read does not mean that nothing else has arrived.
    pub fn is_tls(&self) -> bool {
        matches!(self.stream, Some(LoadStream::Tls(_)))
    }

    /// Returns true if the TCP handshake is done, and an error if it failed.
    pub fn is_connected(&self) -> io::Result<bool> {
        let Some(stream) = &self.stream else { return Ok(false) };
        let stream = stream.tcp_ref();
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub fn stream(&mut self) -> Option<&mut TcpStream> {
        self.stream.as_mut().map(LoadStream::tcp)
    }

    /// Reads once into the buffer; returns `None` if nothing has arrived.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        loop {
            match stream.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => return Ok(Some(length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes, and queues what the kernel does not take now. Fails beyond [`MAX_OUTPUT`].
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.output.is_empty() {
            let written = self.write_some(bytes)?;
            self.output = bytes[written..].to_vec();
            return Ok(());
        }
        if self.output.len() + bytes.len() > MAX_OUTPUT {
            return Err(io::Error::other("the gateway does not read"));
        }
        self.output.extend_from_slice(bytes);
        Ok(())
    }

    pub fn flush(&mut self) -> io::Result<()> {
        if let Some(stream) = &mut self.stream {
            stream.flush()?;
        }
        if self.output.is_empty() {
            return Ok(());
        }
        let output = std::mem::take(&mut self.output);
        let written = self.write_some(&output)?;
        self.output = output[written..].to_vec();
        Ok(())
    }

    /// Makes the next connection of this slot a new one, which does not resume.
    pub fn begin_anew(&mut self) {
        self.welcomed_before = false;
        self.attempts = 0;
        if let Some(follow) = &mut self.follow {
            follow.cursor.clear();
        }
    }

    /// Ends the connection with a reset.
    pub fn close(&mut self, state: SocketState) {
        self.stream = None;
        self.output = Vec::new();
        self.parser = FrameParser::default();
        self.state = state;
    }

    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(stream) = &mut self.stream else { return Err(ErrorKind::NotConnected.into()) };
        let mut written = 0;
        while written < bytes.len() {
            match stream.write(&bytes[written..]) {
                Ok(length) => written += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }
}

/// `EINPROGRESS` on Linux; the standard library has no stable name for it.
const IN_PROGRESS: i32 = 115;

#[cfg(test)]
mod tests {
    #[test]
    fn a_place_is_small() {
        assert!(
            size_of::<super::LoadConnection>() <= 128,
            "{}",
            size_of::<super::LoadConnection>()
        );
    }
}
