//! The bytes of one connection, with TLS or without.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// A TCP connection without blocking. A TLS connection takes some 20 KiB more.
#[derive(Debug)]
pub enum LoadStream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl LoadStream {
    pub fn new(
        tcp: TcpStream,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    ) -> io::Result<Self> {
        let Some((config, name)) = tls else { return Ok(Self::Plain(tcp)) };
        let session = ClientConnection::new(config, name).map_err(io::Error::other)?;
        Ok(Self::Tls(Box::new(StreamOwned::new(session, tcp))))
    }

    pub fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(stream) => &mut stream.sock,
        }
    }

    pub fn tcp_ref(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(stream) => &stream.sock,
        }
    }

    /// Reads once. With TLS this also goes on with the handshake.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }

    /// Writes once. With TLS the bytes are taken when the handshake is done.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    /// Writes what TLS has encrypted and the kernel has not taken yet.
    pub fn flush(&mut self) -> io::Result<()> {
        let Self::Tls(stream) = self else { return Ok(()) };
        match stream.flush() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            flushed => flushed,
        }
    }
}
