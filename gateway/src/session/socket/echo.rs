//! `/echo`, for test suites of RFC 6455 that expect an echo: the socket of this service, answering each message with itself.
//!
//! Only with the feature `conformance`, which nothing that is shipped has.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use galley_protocol::close::CloseCode;
use tokio_tungstenite::tungstenite::Message;

use super::{Closed, Outbox, Socket, Wire as _, closed};
use crate::http::Refusal;
use crate::session::handshake::{switching, websocket_key};
use crate::state::AppState;

/// Said at the start by whatever has it.
const WARNING: &str = "built with --features conformance: /echo answers every message with itself";

/// Warns, and gives the handler of `GET /echo`.
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
    let max_message = state.config.max_message;
    state.sockets.clone().spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let socket = Socket::new(upgraded, max_message, Arc::new(Outbox::new(state.config.send_queue))).await;
            echo(socket).await;
        }
    });
    switching(&key, false)
}

async fn echo(mut socket: Socket) {
    let why = loop {
        let done = match socket.0.next().await {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => match socket.put_message(message).await {
                Ok(()) => socket.flush().await,
                Err(why) => Err(why),
            },
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => socket.flush().await,
            Some(Ok(Message::Close(_))) => Err(Closed::ByPeer),
            Some(Ok(Message::Frame(_))) => Err(Closed::With(CloseCode::BadProtocol)),
            Some(Err(error)) => Err(closed(&error)),
            None => Err(Closed::Gone),
        };
        if let Err(why) = done {
            break why;
        }
    };
    socket.close(why).await;
}
