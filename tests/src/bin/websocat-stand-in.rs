//! A stand-in for `websocat` on machines without it, limited to what the tests need. A line of
//! standard input is sent as a text message, a message is printed as a line of standard output, and
//! the end of the input closes the socket.

use std::io::{BufRead as _, Write as _, stdin, stdout};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc::{Sender, channel};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::{Error, Message};

/// The lines that were read and not yet sent at most; at the bound the input is not read.
const MAX_LINES: usize = 16;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let url = std::env::args().nth(1).expect("usage: websocat URL");
    let (mut socket, _) = connect_async(url).await?;
    let (typed, mut lines) = channel(MAX_LINES);
    // Reads on a separate thread, so that a terminal that stays open does not delay the exit.
    std::thread::spawn(move || read(&typed));
    let mut open = true;
    loop {
        tokio::select! {
            line = lines.recv(), if open => {
                open = line.is_some();
                let message = line.map_or(Message::Close(None), |line| Message::text(line + "\n"));
                socket.send(message).await?;
            },
            message = socket.next() => match message.transpose()? {
                Some(Message::Text(text)) => writeln!(stdout(), "{text}")?,
                Some(Message::Close(_)) | None => return Ok(()),
                Some(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_)) => {}
            },
        }
    }
}

fn read(typed: &Sender<String>) {
    for line in stdin().lock().lines().map_while(Result::ok) {
        if typed.blocking_send(line).is_err() {
            return;
        }
    }
}
