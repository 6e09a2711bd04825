//! A TCP proxy that can stall, slow down and cut: a network that swallows what is sent, without a word to either side, or that
//! ends every connection at once.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Passes connections on to a server of this machine; ends with its connections when dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    weather: watch::Sender<Weather>,
    accepting: JoinHandle<()>,
}

/// What is held back. It goes on its way when the stall ends, as far as anybody still waits for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// Nothing reaches the server.
    pub to_server: bool,
    /// Nothing reaches the clients.
    pub to_clients: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Weather {
    ways: Ways,
    delay: Duration,
    cuts: u64,
}

impl Proxy {
    /// In front of the server at this port.
    pub async fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (weather, seen) = watch::channel(Weather::default());
        Self { port, weather, accepting: tokio::spawn(accept(listener, server, seen)) }
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Holds back what goes these ways, from now on.
    pub fn stall(&self, ways: Ways) {
        self.weather.send_modify(|weather| weather.ways = ways);
    }

    /// Each piece that is passed on takes so much longer, from now on.
    pub fn slow(&self, delay: Duration) {
        self.weather.send_modify(|weather| weather.delay = delay);
    }

    /// Ends every connection; new ones are taken.
    pub fn cut(&self) {
        self.weather.send_modify(|weather| weather.cuts += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: u16, weather: watch::Receiver<Weather>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.expect("a listener accepts");
        let (mut until_cut, weather) = (weather.clone(), weather.clone());
        let cuts = weather.borrow().cuts;
        connections.spawn(async move {
            // A server that is away refuses the client, too.
            let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            let both = async {
                tokio::join!(
                    pass(from_client, to_server, weather.clone(), |ways| ways.to_server),
                    pass(from_server, to_client, weather, |ways| ways.to_clients),
                )
            };
            tokio::select! {
                _ = both => {}
                _ = until_cut.wait_for(|weather| weather.cuts != cuts) => {}
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Passes bytes on until either end is gone.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut weather: watch::Receiver<Weather>, held: fn(&Ways) -> bool) {
    let mut buffer = vec![0; 16 * 1_024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let Ok(delay) = weather.wait_for(|weather| !held(&weather.ways)).await.map(|weather| weather.delay) else { return };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
