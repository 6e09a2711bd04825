//! A WebSocket of a client.

use std::collections::VecDeque;

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use galley_protocol::Picture;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::json::{text, version};
use crate::patience::within;
use crate::wire_check::{check_command, check_frame, understand};

/// The capacity for ended orders: more than any test makes, so that none is forgotten.
pub const MAX_ENDED: usize = 100_000;

/// An open socket. Each frame is checked against its schema and the earlier frames.
#[derive(Debug)]
pub struct TestSocket {
    /// The first frame.
    pub welcome: Value,
    /// The orders, as told by the frames read so far.
    pub picture: Picture,
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Frames that arrived during the wait for another one.
    waiting: VecDeque<Value>,
    /// The menu frames, which come in between whatever else happens.
    menus: VecDeque<Value>,
    commands: i64,
}

impl TestSocket {
    /// Opens a socket and reads its welcome.
    ///
    /// # Errors
    /// If the handshake fails.
    pub async fn open(request: impl IntoClientRequest + Unpin) -> Result<Self, Error> {
        let mut socket = Self::knock(request).await?;
        socket.welcome = socket.next().await;
        assert_eq!(socket.welcome["type"], "welcome");
        Ok(socket)
    }

    /// Opens a socket without reading a welcome.
    ///
    /// # Errors
    /// If the handshake fails.
    pub async fn knock(request: impl IntoClientRequest + Unpin) -> Result<Self, Error> {
        let (stream, _) = within("the handshake", Box::pin(connect_async(request))).await?;
        let picture = Picture::new(MAX_ENDED);
        let (waiting, menus) = (VecDeque::new(), VecDeque::new());
        Ok(Self { welcome: Value::Null, picture, stream, waiting, menus, commands: 0 })
    }

    /// The next menu frame.
    pub async fn until_menu(&mut self) -> Value {
        within("a menu frame", async {
            loop {
                if let Some(menu) = self.menus.pop_front() {
                    return menu;
                }
                if let Some(frame) = self.read_one().await {
                    self.waiting.push_back(frame);
                }
            }
        })
        .await
    }

    /// The next frame that is no menu frame.
    pub async fn next(&mut self) -> Value {
        match self.waiting.pop_front() {
            Some(frame) => frame,
            None => self.read().await,
        }
    }

    /// The next frame, if it has already arrived.
    pub fn try_next(&mut self) -> Option<Value> {
        self.next().now_or_never()
    }

    /// The first frame not yet taken that meets the condition; the others stay.
    pub async fn until(&mut self, what: &str, will_do: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.waiting.iter().position(&will_do) {
            return self.waiting.remove(at).expect("it was found there");
        }
        within(what, async {
            loop {
                let frame = self.read().await;
                if will_do(&frame) {
                    return frame;
                }
                self.waiting.push_back(frame);
            }
        })
        .await
    }

    /// The next frame of this type.
    pub async fn until_type(&mut self, kind: &str) -> Value {
        self.until(&format!("a frame of type {kind}"), |frame| frame["type"] == kind).await
    }

    /// The order with this status, from its `order` frame or from a `resync`.
    pub async fn until_status(&mut self, order_id: i64, status: &str) -> Value {
        let told = |frame: &Value| {
            let orders = frame["orders"].as_array().into_iter().flatten().chain([&frame["order"]]);
            orders
                .into_iter()
                .find(|order| order["id"] == order_id && order["status"] == status)
                .cloned()
        };
        let is_news = |frame: &Value| frame["type"] == "order" || frame["type"] == "resync";
        let what = format!("order {order_id} is {status}");
        let frame = self.until(&what, |frame| is_news(frame) && told(frame).is_some()).await;
        told(&frame).expect("the frame was chosen for it")
    }

    /// Reads an `order` frame for each of these statuses, with versions from 1 on.
    pub async fn follow(&mut self, statuses: &[&str]) -> Vec<Value> {
        let mut frames = Vec::new();
        for (number, status) in (1..).zip(statuses) {
            let frame = self.until_type("order").await;
            let order = &frame["order"];
            assert_eq!((text(order, "status"), version(order)), (*status, number), "{frame}");
            frames.push(frame);
        }
        frames
    }

    /// Sends a command under a new id, and returns its answer.
    pub async fn ask(&mut self, mut command: Value) -> Value {
        self.commands += 1;
        let id = json!(format!("ask-{}", self.commands));
        command["id"] = id.clone();
        self.say(&command.to_string()).await;
        self.until(&format!("the answer to {command}"), |frame| frame["id"] == id).await
    }

    /// Sends a command that must succeed.
    pub async fn reply(&mut self, command: Value) -> Value {
        check_command(&command);
        let answer = self.ask(command).await;
        assert_eq!(answer["type"], "reply", "{answer}");
        answer
    }

    /// Sends a command that must be refused, and returns the problem.
    pub async fn problem(&mut self, command: Value) -> Value {
        let mut answer = self.ask(command).await;
        assert_eq!(answer["type"], "error", "{answer}");
        answer["problem"].take()
    }

    /// Sends a text frame as it is.
    pub async fn say(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    /// Sends any message.
    pub async fn send(&mut self, message: Message) {
        within("the send", self.stream.send(message)).await.expect("the socket is open");
    }

    /// The orders of the `order` frames so far. A ping first makes sure that everything sent before
    /// has arrived.
    pub async fn order_frames_so_far(&mut self) -> Vec<Value> {
        let pong = self.ask(json!({"type": "ping"})).await;
        assert_eq!(pong["type"], "pong");
        let frames = std::mem::take(&mut self.waiting);
        frames
            .into_iter()
            .filter(|frame| frame["type"] == "order")
            .map(|mut frame| frame["order"].take())
            .collect()
    }

    /// Waits for a native pong.
    pub async fn until_pong(&mut self) -> Vec<u8> {
        within("a pong", async {
            loop {
                if let Message::Pong(payload) = self.message().await.expect("the socket is open") {
                    return payload.to_vec();
                }
            }
        })
        .await
    }

    /// Waits for a native ping of the gateway.
    pub async fn until_ping(&mut self) {
        within("a ping", async {
            while !matches!(self.message().await.expect("the socket is open"), Message::Ping(_)) {}
        })
        .await;
    }

    /// Reads to the end, and returns the close code.
    pub async fn close_code(&mut self) -> u16 {
        within("the close", async {
            loop {
                match self.message().await {
                    Some(Message::Close(Some(frame))) => return frame.code.into(),
                    Some(_) => {}
                    None => panic!("the socket ended without a close code"),
                }
            }
        })
        .await
    }

    /// Reads to the end, and returns the frames and the close code.
    pub async fn rest(&mut self) -> (Vec<Message>, u16) {
        within("the close", async {
            let mut frames = Vec::new();
            loop {
                match self.message().await {
                    Some(Message::Close(Some(frame))) => return (frames, frame.code.into()),
                    Some(Message::Ping(_) | Message::Pong(_)) => {}
                    Some(Message::Text(text)) if text.starts_with(r#"{"type":"menu""#) => {}
                    Some(frame) => frames.push(frame),
                    None => panic!("the socket ended without a close code"),
                }
            }
        })
        .await
    }

    /// Closes like a browser that leaves the page, and waits for the answer.
    pub async fn close(mut self) {
        let goodbye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        within("the send", self.stream.close(Some(goodbye))).await.expect("the socket is open");
        assert_eq!(self.close_code().await, 1000);
    }

    async fn read(&mut self) -> Value {
        within("a frame", async {
            loop {
                if let Some(frame) = self.read_one().await {
                    return frame;
                }
            }
        })
        .await
    }

    /// Reads one message; `None` if it is none of the frames, or one of the menu.
    async fn read_one(&mut self) -> Option<Value> {
        let text = match self.message().await {
            Some(Message::Text(text)) => text,
            Some(Message::Ping(_) | Message::Pong(_)) => return None,
            other => panic!("no text frame but {other:?}"),
        };
        assert!(!text.contains('\n'), "a frame is one line: {text}");
        let frame: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        check_frame(&frame);
        let changes = self.picture.apply(&understand(&frame));
        assert_eq!(changes.contradicting, 0, "{frame} contradicts {:?}", self.picture);
        if frame["type"] == "menu" {
            self.menus.push_back(frame);
            return None;
        }
        Some(frame)
    }

    async fn message(&mut self) -> Option<Message> {
        self.stream.next().await.and_then(Result::ok)
    }
}
