//! A gateway that sends wrong updates, to show that `galley-load` notices.
//!
//! It implements just enough for `galley-load`: heroes, meals, sockets that place orders, and
//! orders that are COMPLETED in their third version, regardless of what its sockets were sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt as _, StreamExt as _};
use galley_protocol::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// A defect in the updates of every third order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// No defect.
    None,
    /// The final update is never sent.
    Drop,
    /// The second version is sent twice.
    Double,
    /// The final update is sent before the second version.
    Swap,
    /// The order is neither answered nor told of.
    Silent,
}

/// A running gateway; stopped when dropped.
#[derive(Debug)]
pub struct LyingGateway {
    /// The URL that it listens on.
    pub url: String,
    _serving: JoinSet<()>,
}

#[derive(Debug)]
struct LyingState {
    lie: Lie,
    next_id: AtomicI64,
}

impl LyingGateway {
    /// Starts a gateway with this defect.
    pub async fn start(lie: Lie) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let state = Arc::new(LyingState { lie, next_id: AtomicI64::new(1) });
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&state)));
            }
        });
        Self { url, _serving: serving }
    }
}

impl LyingState {
    fn id(&self) -> i64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }
}

/// Answers requests until the connection ends or becomes a socket.
async fn serve(mut stream: TcpStream, state: Arc<LyingState>) {
    let mut read = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = read.windows(4).position(|part| part == b"\r\n\r\n") {
                break at + 4;
            }
            match stream.read_buf(&mut read).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        };
        let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
        let field = |name: &str| {
            head.lines()
                .find_map(|line| line.strip_prefix(name))
                .map(|value| value.trim().to_owned())
        };
        if head.starts_with("get /ws") {
            let key = String::from_utf8_lossy(&read[..end]).into_owned();
            let key = key
                .lines()
                .find_map(|line| line.split_once("Sec-WebSocket-Key: "))
                .map(|(_, key)| key.to_owned());
            return socket(stream, key.unwrap_or_default().as_bytes(), &state).await;
        }
        let length: usize =
            field("content-length:").and_then(|length| length.parse().ok()).unwrap_or(0);
        while read.len() < end + length {
            match stream.read_buf(&mut read).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        read.drain(..end + length);
        let (status, body) = match head.split(' ').next() {
            Some("post") => (201, json!({"id": state.id()})),
            _ if head.starts_with("get /orders/") => {
                (200, json!({"version": 3, "status": "COMPLETED"}))
            }
            _ if head.starts_with("get /readyz") => (200, json!({})),
            _ => (404, json!({})),
        };
        let body = body.to_string();
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn socket(mut stream: TcpStream, key: &[u8], state: &LyingState) {
    let accept = derive_accept_key(key);
    let head = format!(
        "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    if stream.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    let mut says = vec![
        json!({"type": "welcome", "resume": "fresh", "orders": [], "cursor": "r1.1", "help": ""}),
    ];
    loop {
        for said in says.drain(..) {
            if socket.send(Message::text(said.to_string())).await.is_err() {
                return;
            }
        }
        let Some(Ok(message)) = socket.next().await else { return };
        if let Message::Text(text) = message {
            let command: Value = serde_json::from_str(&text).expect("galley-load speaks JSON");
            let id = state.id();
            let state_of = |version: usize| json!({"type": "order", "order": order(id, version), "cursor": "r1.1"});
            let lie = if id % 3 == 0 { state.lie } else { Lie::None };
            if lie != Lie::Silent {
                says.push(json!({"type": "reply", "id": command["id"], "order": order(id, 1)}));
            }
            let versions: &[usize] = match lie {
                Lie::None => &[1, 2, 3],
                Lie::Drop => &[1, 2],
                Lie::Double => &[1, 2, 2, 3],
                Lie::Swap => &[1, 3, 2],
                Lie::Silent => &[],
            };
            says.extend(versions.iter().map(|version| state_of(*version)));
        }
    }
}

fn order(id: i64, version: usize) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    let now = Timestamp::from_millis(i64::try_from(now).expect("before 9999"))
        .expect("before 9999")
        .to_string();
    let status = ["PENDING", "IN_PROGRESS", "COMPLETED"][version - 1];
    let from = |least: usize| (version >= least).then(|| now.clone());
    json!({
        "id": id, "hero_id": 1, "meal_id": 1, "status": status,
        "message": null, "reason": null, "version": version,
        "order_time": now, "started_time": from(2), "completed_time": from(3),
    })
}
