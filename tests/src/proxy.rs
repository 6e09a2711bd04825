//! A TCP proxy that can stall, slow down and cut connections, like a network that drops packets
//! without an error to either side.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// A proxy of a server on this machine; it and its connections end when dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    server: watch::Sender<u16>,
    ways: watch::Sender<Ways>,
    delay: watch::Sender<Duration>,
    cut: watch::Sender<()>,
    accepting: JoinHandle<()>,
}

/// The stalled directions. Bytes held back are delivered when the stall ends, if the connection
/// still exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// Nothing reaches the server.
    pub to_server: bool,
    /// Nothing reaches the clients.
    pub to_clients: bool,
}

impl Proxy {
    /// Starts a proxy of the server at this port.
    pub async fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (server, seen_server) = watch::channel(server);
        let (ways, seen_ways) = watch::channel(Ways::default());
        let (delay, seen_delay) = watch::channel(Duration::ZERO);
        let (cut, seen_cut) = watch::channel(());
        let accepting =
            tokio::spawn(accept(listener, seen_server, seen_ways, seen_delay, seen_cut));
        Self { port, server, ways, delay, cut, accepting }
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sends new connections to the server at this port, like a DNS name that changes.
    pub fn redirect(&self, server: u16) {
        self.server.send_replace(server);
    }

    /// Holds back bytes in these directions from now on.
    pub fn stall(&self, ways: Ways) {
        self.ways.send_replace(ways);
    }

    /// Delays each chunk by this time from now on.
    pub fn slow(&self, delay: Duration) {
        self.delay.send_replace(delay);
    }

    /// Cuts every present connection; bytes held back are lost.
    pub fn cut(&self) {
        self.cut.send_replace(());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    server: watch::Receiver<u16>,
    ways: watch::Receiver<Ways>,
    delay: watch::Receiver<Duration>,
    cut: watch::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.expect("a listener accepts");
        let (ways, delay, mut cut) = (ways.clone(), delay.clone(), cut.clone());
        cut.mark_unchanged();
        let server = *server.borrow();
        connections.spawn(async move {
            // A server that is down refuses the client as well.
            let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            let passing = async {
                tokio::join!(
                    pass(from_client, to_server, ways.clone(), delay.clone(), |ways| ways
                        .to_server),
                    pass(from_server, to_client, ways, delay, |ways| ways.to_clients),
                )
            };
            tokio::select! {
                _ = passing => {}
                _ = cut.changed() => {}
            }
        });
    }
}

/// Passes bytes on until either end is gone.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut ways: watch::Receiver<Ways>,
    delay: watch::Receiver<Duration>,
    held: fn(&Ways) -> bool,
) {
    let mut buffer = vec![0; 16 * 1_024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let pause = *delay.borrow();
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        if ways.wait_for(|ways| !held(ways)).await.is_err()
            || to.write_all(&buffer[..length]).await.is_err()
        {
            return;
        }
    }
}
