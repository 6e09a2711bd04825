//! Sessions of a person with `websocat`, as the files in `clients/websocat/sessions/` tell them.
//!
//! A line `> …` is typed, a line `< …` is JSON that the next answer must contain, and anything else is for the reader.
//! Answers that no line asks for are passed over. When there is no `websocat` on this machine, a stand-in that does the one thing needed here –
//! a line in, a frame out, a frame in, a line out – takes its place.

use std::path::PathBuf;
use std::process::Stdio;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::json::contains;
use crate::patience::within;

enum Terminal {
    Websocat { _process: Child, input: ChildStdin, output: Lines<BufReader<ChildStdout>> },
    StandIn(Box<WebSocketStream<MaybeTlsStream<TcpStream>>>),
}

/// The files that tell sessions.
#[must_use]
pub fn sessions() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../clients/websocat/sessions");
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
    files.sort();
    files
}

/// Plays a session against the gateway whose sockets are at `url`.
pub async fn play(session: &str, url: &str) {
    let mut terminal = Terminal::open(url).await;
    let mut answers: Vec<Value> = Vec::new();
    for line in session.lines() {
        if let Some(typed) = line.strip_prefix("> ") {
            terminal.enter(typed).await;
        } else if let Some(expected) = line.strip_prefix("< ") {
            let expected = serde_json::from_str(expected).unwrap_or_else(|error| panic!("{error} in {line}"));
            within(line, async {
                loop {
                    if let Some(at) = answers.iter().position(|answer| contains(answer, &expected)) {
                        answers.remove(at);
                        return;
                    }
                    answers.push(terminal.read().await);
                }
            })
            .await;
        }
    }
}

impl Terminal {
    async fn open(url: &str) -> Self {
        let mut websocat = Command::new("websocat");
        match websocat.arg(url).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn() {
            Ok(mut process) => {
                let input = process.stdin.take().expect("it is piped");
                let output = BufReader::new(process.stdout.take().expect("it is piped")).lines();
                Self::Websocat { _process: process, input, output }
            }
            Err(_) => Self::StandIn(Box::new(connect_async(url).await.expect("a handshake").0)),
        }
    }

    async fn enter(&mut self, line: &str) {
        match self {
            Self::Websocat { input, .. } => input.write_all(format!("{line}\n").as_bytes()).await.expect("websocat reads"),
            Self::StandIn(socket) => socket.send(Message::text(format!("{line}\n"))).await.expect("the socket is open"),
        }
    }

    async fn read(&mut self) -> Value {
        let line = match self {
            Self::Websocat { output, .. } => output.next_line().await.expect("websocat writes").expect("websocat goes on"),
            Self::StandIn(socket) => loop {
                match socket.next().await.expect("the socket is open").expect("a frame") {
                    Message::Text(text) => break text.to_string(),
                    Message::Ping(_) | Message::Pong(_) => {}
                    other => panic!("no text frame but {other:?}"),
                }
            },
        };
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }
}
