//! Connections to one node, with or without TLS, each in bounded time.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::select_ok;
use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, ErrorKind, ProtocolVersion,
    RedisConnectionInfo, RedisError, RedisResult,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::node_connection::NodeConnection;
use super::redis_address::RedisAddress;
use super::redis_tls::{RedisTls, RedisTlsFiles};
use crate::BusConnectError;

/// The longest time to establish a connection, its handshake included. With TLS the cryptography
/// of many connections that begin together takes part of it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const TLS_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

trait NodeStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> NodeStream for S {}

/// Connects to nodes.
#[derive(Debug)]
pub(super) struct Dialer {
    tls: RedisTls,
    /// The user and the password in place of those of the address.
    login: RwLock<Option<RedisConnectionInfo>>,
}

impl Dialer {
    /// Creates a dialer for an address. With TLS, the files are read once, to find mistakes.
    pub(super) async fn new(
        address: &RedisAddress,
        files: &RedisTlsFiles,
    ) -> Result<Self, BusConnectError> {
        files.check(address.is_tls())?;
        let tls = RedisTls::new(files.clone());
        if address.is_tls() {
            let read = tls.config().await;
            read.map_err(|error| BusConnectError::BadTls(error.to_string()))?;
        }
        Ok(Self { tls, login: RwLock::default() })
    }

    /// Takes another user and password for further connections.
    pub(super) fn renew_login(&self, login: &RedisConnectionInfo) {
        *self.login.write().unwrap_or_else(PoisonError::into_inner) = Some(login.clone());
    }

    /// Returns the settings of a connection, with the newest login where one is used at all.
    fn settings(&self, node: &ConnectionInfo) -> RedisConnectionInfo {
        let settings = node.redis_settings().clone();
        let login = self.login.read().unwrap_or_else(PoisonError::into_inner);
        let Some(login) = login.as_ref().filter(|_| settings.password().is_some()) else {
            return settings;
        };
        let password = login.password().unwrap_or_default();
        let settings = settings.set_password(password);
        match login.username() {
            Some(user) => settings.set_username(user),
            None => settings,
        }
    }

    /// Connects to a node, with a response time-out of `patience`.
    pub(super) async fn connect(
        &self,
        node: &ConnectionInfo,
        patience: Duration,
    ) -> RedisResult<NodeConnection> {
        self.open(node, config(patience)).await
    }

    /// Like [`Self::connect`], with RESP3: messages that the server pushes go to `receiver`.
    pub(super) async fn connect_listening(
        &self,
        node: &ConnectionInfo,
        patience: Duration,
        receiver: impl AsyncPushSender,
    ) -> RedisResult<NodeConnection> {
        let settings = node.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let node = node.clone().set_redis_settings(settings);
        self.open(&node, config(patience).set_push_sender(receiver)).await
    }

    /// Returns what to change in the URL if the server speaks TLS and the URL says that it does
    /// not, or the other way round. No password is sent.
    pub(super) async fn mistaken_scheme(&self, place: &ConnectionAddr) -> Option<&'static str> {
        timeout(CONNECT_TIMEOUT, async {
            if let ConnectionAddr::Tcp(host, port) = place {
                // The client trusts nobody, because only the attempt counts.
                let tls = ClientConfig::builder()
                    .with_root_certificates(RootCertStore::empty())
                    .with_no_client_auth();
                let name = ServerName::try_from(host.clone()).ok()?;
                let stream = tcp(host, *port).await.ok()?;
                let shaken = TlsConnector::from(Arc::new(tls)).connect(name, stream);
                let speaks_tls = match shaken.await {
                    Ok(_) => true,
                    Err(error) => matches!(
                        rustls_error(&error),
                        Some(
                            rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_)
                        )
                    ),
                };
                return speaks_tls.then_some("it speaks TLS: use rediss:// in REDIS_URL");
            }
            if let ConnectionAddr::TcpTls { host, port, .. } = place {
                let mut stream = tcp(host, *port).await.ok()?;
                stream.write_all(b"PING\r\n").await.ok()?;
                let mut answer = [0];
                stream.read_exact(&mut answer).await.ok()?;
                return b"+-".contains(&answer[0]).then_some(
                    "it does not speak TLS: use redis:// in REDIS_URL, or the server's TLS port",
                );
            }
            None
        })
        .await
        .ok()?
    }

    async fn open(
        &self,
        node: &ConnectionInfo,
        config: AsyncConnectionConfig,
    ) -> RedisResult<NodeConnection> {
        // Read before the time begins: the system's authorities are many.
        let tls = if matches!(node.addr(), ConnectionAddr::TcpTls { .. }) {
            Some(TlsConnector::from(self.tls.config().await?))
        } else {
            None
        };
        let patience = if tls.is_some() { TLS_CONNECT_TIMEOUT } else { CONNECT_TIMEOUT };
        in_time(patience, async {
            let stream = stream(node.addr(), tls).await?;
            let settings = self.settings(node);
            let (connection, driver) =
                MultiplexedConnection::new_with_config(&settings, stream, config).await?;
            Ok(NodeConnection::new(connection, driver))
        })
        .await
    }
}

/// Returns the error of rustls in an error of a connection.
pub(super) fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

async fn stream(
    place: &ConnectionAddr,
    tls: Option<TlsConnector>,
) -> io::Result<Box<dyn NodeStream>> {
    match (place, tls) {
        (ConnectionAddr::TcpTls { host, port, .. }, Some(tls)) => {
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            Ok(Box::new(tls.connect(name, tcp(host, *port).await?).await?))
        }
        (ConnectionAddr::Tcp(host, port), _) => Ok(Box::new(tcp(host, *port).await?)),
        (ConnectionAddr::Unix(path), _) => Ok(Box::new(UnixStream::connect(path).await?)),
        _ => Err(io::Error::other("this kind of address is not known")),
    }
}

/// Connects to the first address of a host that answers.
async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let connecting: Vec<_> = lookup_host((host, port))
        .await?
        .map(|address| Box::pin(TcpStream::connect(address)))
        .collect();
    if connecting.is_empty() {
        return Err(io::Error::other("the name has no address"));
    }
    let (stream, _) = select_ok(connecting).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn config(patience: Duration) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_response_timeout(Some(patience))
}

async fn in_time<T>(
    patience: Duration,
    connecting: impl Future<Output = RedisResult<T>>,
) -> RedisResult<T> {
    let late = || RedisError::from((ErrorKind::Io, "Redis did not greet in time"));
    timeout(patience, connecting).await.map_err(|_| late())?
}
