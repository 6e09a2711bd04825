//! Listens on an address, which may have several sockets.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};

use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener};

use super::ListenAddress;
use super::unix_socket::{self, SocketFile};
use galley_protocol::network::reason;

/// Maximum connections that wait to be accepted; the kernel may allow fewer.
const BACKLOG: u32 = 4_096;
/// The attempts to find a port that is free in both address families.
const TRIES: usize = 10;
/// The address of all peers of a Unix socket: that of this machine.
const LOCAL_PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The sockets of an address. Dropping the listener closes them.
#[derive(Debug)]
pub struct Listener {
    sockets: Vec<ListenerSocket>,
    address: ListenAddress,
    /// The socket that is polled first the next time, so that none is starved.
    next: usize,
}

#[derive(Debug)]
enum ListenerSocket {
    Tcp(TcpListener),
    /// A Unix socket, and its file, which is removed on drop.
    Unix(UnixListener, SocketFile),
}

/// A connection.
#[derive(Debug)]
pub struct Accepted {
    /// The stream. The kernel's calls are the same for both transports.
    pub stream: TcpStream,
    /// The peer's address.
    pub peer: SocketAddr,
    /// The transport.
    pub transport: Transport,
}

/// The transport of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// A Unix socket.
    Unix,
}

/// An address on which listening failed.
#[derive(Debug, Error)]
#[error("cannot listen on {address}: {}{}", reason(.error), advice(.error, .option))]
pub struct ListenError {
    address: String,
    error: io::Error,
    /// The option that named the address.
    option: &'static str,
}

/// Returns the remedy for a common error.
fn advice(error: &io::Error, option: &str) -> String {
    let is = |kind| error.kind() == kind;
    if is(ErrorKind::AddrInUse) {
        format!("; choose another with {option}, or {option} 127.0.0.1:0 for a free one")
    } else if is(ErrorKind::AddrNotAvailable) {
        format!("; no interface of this machine has it, choose another with {option}")
    } else if is(ErrorKind::PermissionDenied) {
        format!("; choose a port above 1023 or another path with {option}")
    } else if is(ErrorKind::AlreadyExists) || is(ErrorKind::NotFound) {
        format!("; choose another path with {option}")
    } else {
        String::new()
    }
}

impl Listener {
    /// Binds the address, which `option` of the command line names. Connections wait until
    /// [`Listener::accept`]. With `share`, other processes may bind the same address
    /// (`SO_REUSEPORT`). Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ListenError`]
    pub fn bind(
        address: &ListenAddress,
        option: &'static str,
        share: bool,
    ) -> Result<Self, ListenError> {
        let failed = |address: String, error| ListenError { address, error, option };
        let at =
            |place: SocketAddr| tcp(place, share).map_err(|error| failed(place.to_string(), error));
        let sockets = match address {
            ListenAddress::Ip(place) => vec![ListenerSocket::Tcp(at(*place)?)],
            ListenAddress::Every(port) => {
                vec![ListenerSocket::Tcp(match at((Ipv6Addr::UNSPECIFIED, *port).into()) {
                    Err(ListenError { error, .. }) if is_without_ipv6(&error) => {
                        at((Ipv4Addr::UNSPECIFIED, *port).into())?
                    }
                    listening => listening?,
                })]
            }
            ListenAddress::Localhost(port) => both_loopbacks(*port, &at)?,
            ListenAddress::Unix(path) => {
                let (listener, file) = unix_socket::listen(path)
                    .map_err(|error| failed(address.to_string(), error))?;
                vec![ListenerSocket::Unix(listener, file)]
            }
        };
        Ok(Self { sockets, address: address.clone(), next: 0 })
    }

    /// Waits for a connection.
    ///
    /// # Errors
    /// An error of the system: one client failed, or no client can be accepted at the moment.
    pub async fn accept(&mut self) -> io::Result<Accepted> {
        poll_fn(|context| self.poll_accept(context)).await
    }

    /// Closes the sockets, and returns the connections that waited in the kernel, which would
    /// otherwise be reset. New connections are refused from now on.
    #[must_use]
    pub fn close(self) -> Vec<Accepted> {
        self.sockets.into_iter().flat_map(ListenerSocket::close).collect()
    }

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        let sockets = self.sockets.len();
        for _ in 0..sockets {
            let socket = &self.sockets[self.next % sockets];
            self.next = (self.next + 1) % sockets;
            if let Poll::Ready(accepted) = socket.poll_accept(context) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }
}

impl ListenerSocket {
    /// Closes the socket, and returns the waiting connections. It asks the kernel directly, because
    /// tokio may not know of the last connections yet. It skips clients that failed meanwhile, and
    /// stops at any other error.
    fn close(self) -> Vec<Accepted> {
        let is_of_one_client = |error: &io::Error| {
            matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted)
        };
        let take_all = |accept: &mut dyn FnMut() -> io::Result<Accepted>| {
            let mut held = Vec::new();
            loop {
                match accept() {
                    Ok(accepted) => held.push(accepted),
                    Err(error) if is_of_one_client(&error) => {}
                    Err(_) => return held,
                }
            }
        };
        match self {
            Self::Tcp(listener) => {
                let Ok(listener) = listener.into_std() else { return Vec::new() };
                take_all(&mut || {
                    let (stream, peer) = listener.accept()?;
                    stream.set_nonblocking(true)?;
                    Ok(Accepted {
                        stream: TcpStream::from_std(stream)?,
                        peer,
                        transport: Transport::Tcp,
                    })
                })
            }
            Self::Unix(listener, file) => {
                drop(file);
                let Ok(listener) = listener.into_std() else { return Vec::new() };
                take_all(&mut || {
                    let stream = std::net::TcpStream::from(OwnedFd::from(listener.accept()?.0));
                    stream.set_nonblocking(true)?;
                    Ok(Accepted {
                        stream: TcpStream::from_std(stream)?,
                        peer: LOCAL_PEER,
                        transport: Transport::Unix,
                    })
                })
            }
        }
    }

    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        match self {
            Self::Tcp(listener) => listener.poll_accept(context).map_ok(|(stream, peer)| {
                let transport = Transport::Tcp;
                Accepted { stream, peer, transport }
            }),
            Self::Unix(listener, _) => listener.poll_accept(context).map(|accepted| {
                let stream = std::net::TcpStream::from(OwnedFd::from(accepted?.0.into_std()?));
                Ok(Accepted {
                    stream: TcpStream::from_std(stream)?,
                    peer: LOCAL_PEER,
                    transport: Transport::Unix,
                })
            }),
        }
    }
}

/// Formats the address that clients use: `http://127.0.0.1:8080`, or `unix:/path`.
impl fmt::Display for Listener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.address, self.sockets.first()) {
            (ListenAddress::Localhost(port), socket) => {
                write!(formatter, "http://localhost:{}", port_of(socket).unwrap_or(*port))
            }
            (_, Some(ListenerSocket::Tcp(listener))) => {
                let place = listener.local_addr().map_err(|_| fmt::Error)?;
                write!(formatter, "http://{place}")
            }
            (address, _) => address.fmt(formatter),
        }
    }
}

fn port_of(socket: Option<&ListenerSocket>) -> Option<u16> {
    match socket {
        Some(ListenerSocket::Tcp(listener)) => listener.local_addr().ok().map(|place| place.port()),
        Some(ListenerSocket::Unix(..)) | None => None,
    }
}

/// Listens on both loopback addresses; on a machine without IPv6 only on that of IPv4.
fn both_loopbacks(
    port: u16,
    at: &impl Fn(SocketAddr) -> Result<TcpListener, ListenError>,
) -> Result<Vec<ListenerSocket>, ListenError> {
    let mut tries = if port == 0 { TRIES } else { 1 };
    loop {
        let first = ListenerSocket::Tcp(at((Ipv4Addr::LOCALHOST, port).into())?);
        let chosen = port_of(Some(&first)).unwrap_or(port);
        tries -= 1;
        match at((Ipv6Addr::LOCALHOST, chosen).into()) {
            Ok(second) => return Ok(vec![first, ListenerSocket::Tcp(second)]),
            Err(ListenError { error, .. }) if is_without_ipv6(&error) => return Ok(vec![first]),
            Err(ListenError { error, .. }) if tries > 0 && error.kind() == ErrorKind::AddrInUse => {
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_without_ipv6(error: &io::Error) -> bool {
    error.kind() == ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

fn tcp(place: SocketAddr, share: bool) -> io::Result<TcpListener> {
    let socket = if place.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(share)?;
    if place.ip().is_unspecified() && place.is_ipv6() {
        rustix::net::sockopt::set_ipv6_v6only(&socket, false)?;
    }
    socket.bind(place)?;
    socket.listen(BACKLOG)
}
