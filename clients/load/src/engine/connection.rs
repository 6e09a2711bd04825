//! One connection, as small as it can be while it is idle: less than a hundred bytes.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

use super::frame::FrameParser;

/// The kernel keeps about so many bytes that a slow reader has not read.
const SLOW_RECEIVE_BUFFER: usize = 4 * 1_024;
/// Bytes that wait to be written; a gateway that takes no more is given up.
const MAX_OUTPUT: usize = 1 << 20;

/// One connection, or the place of one.
#[derive(Debug)]
pub struct Connection {
    /// Its purpose.
    pub role: Role,
    /// How far it is.
    pub state: State,
    /// When it was due, in microseconds.
    pub since: u64,
    /// The parser of the frame that is not complete yet.
    pub parser: FrameParser,
    /// Counts the connections that were in this place.
    pub generation: u32,
    /// Attempts since the last success.
    pub attempts: u32,
    /// A welcome came before, in this place.
    pub welcomed_before: bool,
    /// The state of a socket that follows orders.
    pub follow: Option<Box<Follow>>,
    stream: Option<TcpStream>,
    /// The bytes that the kernel has not taken yet.
    output: Vec<u8>,
}

/// The purpose of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A hero's socket: the number of the hero in the plan, and the number of the socket among the
    /// hero's.
    Hero {
        /// The hero.
        hero: u32,
        /// The socket.
        slot: u32,
        /// True if it reads slowly.
        slow: bool,
    },
    /// A socket of staff.
    Staff {
        /// The slot.
        slot: u32,
    },
    /// Requests over REST.
    Rest,
}

/// How far a connection is.
#[derive(Debug)]
pub enum State {
    /// There is none, or not yet.
    Closed,
    /// The TCP handshake goes on.
    Connecting,
    /// The request is sent.
    Upgrading(Box<Upgrading>),
    /// The welcome has not come yet.
    Upgraded,
    /// It is in use. Over REST: what came of the answer so far.
    Open(Vec<u8>),
    /// No more attempts.
    GivenUp,
}

/// A handshake.
#[derive(Debug)]
pub struct Upgrading {
    /// The key that was sent.
    pub key: String,
    /// The bytes received so far.
    pub answer: Vec<u8>,
}

/// The state of a socket that follows orders.
#[derive(Debug, Default)]
pub struct Follow {
    /// Where to resume.
    pub cursor: String,
}

impl Connection {
    /// A place without a connection.
    pub fn new(role: Role, follow: bool) -> Self {
        Self {
            role,
            state: State::Closed,
            since: 0,
            parser: FrameParser::default(),
            generation: 0,
            attempts: 0,
            welcomed_before: false,
            follow: follow.then(Box::default),
            stream: None,
            output: Vec::new(),
        }
    }

    /// Returns true if it is in use.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Begins a connection.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect(
        &mut self,
        gateway: SocketAddr,
        source: Option<IpAddr>,
    ) -> io::Result<&mut TcpStream> {
        let socket = Socket::new(Domain::for_address(gateway), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        // Closing resets: neither a port nor the connection-tracking table remembers the connection
        // for minutes.
        socket.set_linger(Some(Duration::ZERO))?;
        if matches!(self.role, Role::Hero { slow: true, .. }) {
            socket.set_recv_buffer_size(SLOW_RECEIVE_BUFFER)?;
        }
        if let Some(source) = source {
            // Else the kernel would choose a port now, one that no connection of this address has,
            // and look for it longer and longer.
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
        self.state = State::Connecting;
        self.parser = FrameParser::default();
        self.output = Vec::new();
        Ok(self.stream.insert(TcpStream::from_std(socket.into())))
    }

    /// Returns true if the TCP handshake is done.
    ///
    /// # Errors
    /// It failed.
    pub fn is_connected(&self) -> io::Result<bool> {
        let Some(stream) = &self.stream else { return Ok(false) };
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The stream, to be watched.
    pub fn stream(&mut self) -> Option<&mut TcpStream> {
        self.stream.as_mut()
    }

    /// Reads what there is, at most what fits; nothing when there is nothing now.
    ///
    /// # Errors
    /// The connection has ended.
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

    /// Writes, and keeps for [`Connection::flush`] what the kernel does not take now.
    ///
    /// # Errors
    /// The connection has ended, or too much waits.
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

    /// Writes what waits.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let output = std::mem::take(&mut self.output);
        let written = self.write_some(&output)?;
        self.output = output[written..].to_vec();
        Ok(())
    }

    /// Ends the connection with a reset.
    pub fn close(&mut self, state: State) {
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

/// `EINPROGRESS` on Linux, for which the standard library has no stable name.
const IN_PROGRESS: i32 = 115;

#[cfg(test)]
mod tests {
    #[test]
    fn a_place_is_small() {
        assert!(size_of::<super::Connection>() <= 128, "{}", size_of::<super::Connection>());
    }
}
