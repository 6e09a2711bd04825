//! `/echo`, for test suites of RFC 6455 that expect an echo: the socket of this service, answering
//! each message with itself. Like the service it takes text, and refuses bytes.
//!
//! Only with the feature `conformance`, which nothing that is shipped has.

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};

use super::entrance::outbox;
use super::handshake::{switching, websocket_key};
use super::socket::{Heard, Socket};
use crate::state::AppState;
use crate::web::Refusal;

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
    let (max_message, outbox) = (state.config.max_message, outbox(&state));
    state.sockets.spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            echo(Socket::new(upgraded, max_message, outbox)).await;
        }
    });
    switching(&key, false)
}

async fn echo(mut socket: Socket) {
    let why = loop {
        let done = match socket.hear().await {
            Heard::Text(text) => socket.send(text).await,
            Heard::Control => Ok(()),
            Heard::Closed(why) => Err(why),
        };
        if let Err(why) = done {
            break why;
        }
    };
    socket.close(why).await;
}
