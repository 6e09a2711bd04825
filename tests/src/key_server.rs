//! The address where an identity provider shows its public keys.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A server of a key set; it ends when dropped.
#[derive(Debug)]
pub struct KeyServer {
    port: u16,
    shown: Arc<Shown>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shown {
    /// The status line's code and the body; `None` while the provider is away.
    answer: Mutex<Option<(u16, String)>>,
    requests: AtomicUsize,
}

impl KeyServer {
    /// Starts it; the provider is away at first.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let shown = Arc::new(Shown::default());
        let serving = Arc::clone(&shown);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(answer(client, Arc::clone(&serving)));
            }
        });
        Self { port, shown, accepting }
    }

    /// Shows these keys from now on.
    pub fn show(&self, keys: &Value) {
        self.say(200, &keys.to_string());
    }

    /// Answers with this status and body from now on.
    pub fn say(&self, status: u16, body: &str) {
        *self.shown.answer.lock().expect("no panic") = Some((status, body.to_owned()));
    }

    /// Closes every connection without an answer from now on.
    pub fn go_away(&self) {
        *self.shown.answer.lock().expect("no panic") = None;
    }

    /// The number of requests until now.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.shown.requests.load(Ordering::SeqCst)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}/keys", self.port)
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn answer(mut client: TcpStream, shown: Arc<Shown>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    shown.requests.fetch_add(1, Ordering::SeqCst);
    let Some((status, body)) = shown.answer.lock().expect("no panic").clone() else { return };
    let head = format!(
        "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    // The gateway may stop reading a body that is too long.
    let _ = client.write_all(format!("{head}{body}").as_bytes()).await;
}
