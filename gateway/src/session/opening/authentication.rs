//! The authentication of a socket's client: with the handshake, or with its first message.
//!
//! A token is sent in a header (which a page in a browser cannot set), as a sub-protocol (which it
//! can), or in an `auth` frame. It is never in the query, because proxies log queries. A socket
//! without a token is not in the hub, receives no updates, and may send only `auth`.

use std::sync::Arc;
use std::time::Duration;

use galley_protocol::Audience;
use galley_protocol::close_code::CloseCode;
use galley_protocol::frame::{ClientFrame, Command, CommandId, ServerFrame};
use galley_protocol::{Problem, ProblemType};
use hyper::header::{self, HeaderMap};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::auth::{Claims, TokenRejection};
use crate::http::header_list::tokens;
use crate::refusals::Cause;
use crate::session::running::renewal::verify;
use crate::session::wire::Closed;
use crate::session::wire::socket::{Socket, SocketInput};
use crate::state::AppState;
use crate::web::Caller;
use crate::web::guard::{bearer, unauthorized};

/// The most sockets that may wait for their token. At the bound a handshake without a valid token
/// is answered with 503.
pub const MAX_UNPROVEN: usize = 1_024;
/// The longest time that a socket may stay without a token. Beyond: close 4408.
const PATIENCE: Duration = Duration::from_secs(5);
/// The time after which a client that was refused at the bound may retry, in milliseconds.
const RETRY_AFTER_MS: u64 = 5_000;
/// The prefix of a sub-protocol that is a token.
const BEARER: &str = "bearer.";

/// The authentication in a handshake.
pub enum TokenShown {
    /// A valid token, or none is required: the caller.
    Caller(Caller),
    /// No token: the first message must be one. The permit is held while the socket waits for it.
    Nothing(OwnedSemaphorePermit),
    /// A page's invalid token. Pages do not see the status of a refused handshake, only close
    /// codes, so the socket is opened and then closed.
    Bad(TokenRejection, OwnedSemaphorePermit),
}

/// # Errors
/// `unauthorized` for an invalid token in a header, `bad-handshake` for two tokens, `overloaded`
/// when too many sockets wait, `draining`.
pub fn shown(state: &AppState, headers: &HeaderMap) -> Result<TokenShown, Problem> {
    let Some(verifier) = &state.verifier else { return Ok(TokenShown::Caller(Caller::ANYBODY)) };
    let refuse = |refused| unauthorized(state, Some(refused));
    let offered = tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL)
        .find_map(|protocol| protocol.strip_prefix(BEARER));
    match (bearer(headers).map_err(refuse)?, offered) {
        (Some(_), Some(_)) => Err(Problem::new(ProblemType::BadHandshake)
            .with_detail("a token must come in the header or as a sub-protocol, not both")),
        (Some(token), None) => {
            verifier.verify(token).map(|claims| TokenShown::Caller(claims.into())).map_err(refuse)
        }
        (None, Some(token)) => match verifier.verify(token) {
            Ok(claims) => Ok(TokenShown::Caller(claims.into())),
            Err(refused) => Ok(TokenShown::Bad(refused, reserve(state)?)),
        },
        (None, None) => Ok(TokenShown::Nothing(reserve(state)?)),
    }
}

/// Waits for the token, which must be the first message. After an error the socket must be closed;
/// the client has been sent the problem of an invalid token.
pub async fn wait(
    state: &AppState,
    socket: &mut Socket,
) -> Result<(Claims, Option<CommandId>), Closed> {
    let first = async {
        loop {
            match socket.receive().await {
                SocketInput::Text(text) => return Ok(text),
                SocketInput::Binary(_) => return Err(Closed::With(CloseCode::NotText)),
                SocketInput::Control => {}
                SocketInput::Closed(closed) => return Err(closed),
            }
        }
    };
    let text = tokio::select! {
        first = timeout(PATIENCE, first) => first.unwrap_or_else(|_| {
            state.refusals.count(Cause::AuthTimeout);
            Err(Closed::With(CloseCode::AuthTimeout))
        })?,
        () = state.readiness.leaving() => return Err(Closed::With(CloseCode::Restart)),
    };
    let (id, problem) = match ClientFrame::parse(&text, Audience::Hero) {
        Ok(ClientFrame { id, command: Command::Auth { token } }) => match verify(state, &token) {
            Ok(claims) => return Ok((claims, id)),
            Err(problem) => (id, problem),
        },
        Ok(ClientFrame { id, .. }) | Err((id, _)) => {
            let problem = unauthorized(state, None);
            (
                id,
                problem.with_detail(
                    "the first message must be `auth` with a token, for the handshake came without",
                ),
            )
        }
    };
    socket.send(ServerFrame::Error { id, problem: Box::new(problem) }.encode()).await?;
    Err(Closed::With(CloseCode::TokenExpired))
}

fn reserve(state: &AppState) -> Result<OwnedSemaphorePermit, Problem> {
    if state.readiness.is_gone() {
        return Err(Problem::new(ProblemType::Draining).with_retry_after(RETRY_AFTER_MS));
    }
    Arc::clone(&state.unproven).try_acquire_owned().map_err(|_| {
        state.refusals.count(Cause::Unproven);
        Problem::new(ProblemType::Overloaded)
            .with_detail("too many sockets wait for their token; send it with the handshake")
            .with_retry_after(RETRY_AFTER_MS)
    })
}
