//! `/echo`, for test suites of RFC 6455: the socket of this service, which answers each message
//! with the same message. Unlike the service it accepts binary messages, and large ones.
//!
//! Only with the feature `conformance`, which no released program has.

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};

use super::opening::admission::outbox;
use super::opening::handshake::{switching, websocket_key};
use super::wire::socket::{Socket, SocketInput};
use crate::state::AppState;
use crate::web::Refusal;

/// The largest message of such suites, in bytes.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// The warning that a gateway with `/echo` logs at its start.
const WARNING: &str = "built with --features conformance: /echo answers every message with itself";

/// Logs the warning, and returns the handler of `GET /echo`.
pub fn route() -> axum::routing::MethodRouter<AppState> {
    tracing::warn!(WARNING);
    axum::routing::any(open)
}

async fn open(State(state): State<AppState>, mut request: Request) -> Response {
    let key = match websocket_key(request.method(), request.headers()) {
        Ok(key) => key,
        Err(problem) => return Refusal(problem).into_response(),
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let outbox = outbox(&state);
    state.sockets.spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            echo(Socket::new(upgraded, MAX_MESSAGE, outbox)).await;
        }
    });
    switching(&key, false)
}

async fn echo(mut socket: Socket) {
    let why = loop {
        let done = match socket.receive_in_turn().await {
            SocketInput::Text(text) => socket.send(text).await,
            SocketInput::Binary(bytes) => socket.send_binary(&bytes).await,
            SocketInput::Control | SocketInput::Fragment => Ok(()),
            SocketInput::Closed(why) => Err(why),
        };
        if let Err(why) = done {
            break why;
        }
    };
    socket.close(why).await;
}
