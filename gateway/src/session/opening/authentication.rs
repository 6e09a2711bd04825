//! The authentication of a socket's client: with the handshake, or with its first message.
//!
//! A token is sent in a header (which a page in a browser cannot set), as a sub-protocol (which it
//! can), or in an `auth` frame. It is never in the query, because proxies log queries; a ticket is. A socket
//! without a token is not in the hub, receives no updates, and may send only `auth`.

use std::time::Duration;

use galley_protocol::Audience;
use galley_protocol::close_code::CloseCode;
use galley_protocol::frame::{ClientFrame, Command, CommandId, ServerFrame};
use galley_protocol::{Problem, ProblemType, Sentence};
use hyper::header::{self, HeaderMap};
use tokio::time::timeout;

use crate::auth::stream_tickets::{TicketError, redeem};
use crate::auth::{Claims, TokenRejection};
use crate::http::header_list::tokens;
use crate::limits::{Address, WaitingPlace};
use crate::refusals::Cause;
use crate::session::running::renewal::verify;
use crate::session::wire::Closed;
use crate::session::wire::socket::{Socket, SocketInput};
use crate::state::AppState;
use crate::store_problems;
use crate::web::Caller;
use crate::web::guard::{bearer, unauthorized};

/// The most sockets that may wait for their token. At the bound the oldest socket of the address
/// with the most such sockets is closed with 1013.
pub const MAX_UNPROVEN: usize = 1_024;
/// The longest time that a socket may stay without a token. Beyond: close 4408.
const PATIENCE: Duration = Duration::from_secs(5);
/// The time after which a client that came too late may retry, in milliseconds.
const RETRY_AFTER_MS: u64 = 5_000;
/// The prefix of a sub-protocol that is a token.
const BEARER: &str = "bearer.";

/// The authentication in a handshake.
pub enum TokenShown {
    /// A valid token, or none is required: the caller.
    Caller(Caller),
    /// No token: the first message must be one. The place is held while the socket waits for it.
    Nothing(WaitingPlace),
    /// A page's invalid token. Pages do not see the status of a refused handshake, only close
    /// codes, so the socket is opened and then closed.
    Bad(TokenRejection, WaitingPlace),
}

/// # Errors
/// `unauthorized` for an invalid token in a header, `bad-handshake` for two tokens, `overloaded` if
/// the keys of the identity provider cannot be read, `draining`.
pub async fn shown(
    state: &AppState,
    address: Address,
    headers: &HeaderMap,
    ticket: Option<&str>,
) -> Result<TokenShown, Problem> {
    let Some(verifier) = &state.verifier else { return Ok(TokenShown::Caller(Caller::ANYBODY)) };
    let refuse = |refused| unauthorized(state, Some(refused));
    let offered = tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL)
        .find_map(|protocol| protocol.strip_prefix(BEARER));
    if let Some(ticket) = ticket {
        return match redeem(verifier, &**state.commands.store(), ticket, headers).await {
            Ok(claims) => Ok(TokenShown::Caller(claims.into())),
            Err(TicketError::Refused(refused)) => {
                Ok(TokenShown::Bad(refused, reserve(state, address)?))
            }
            Err(TicketError::Store(error)) => Err(store_problems::problem(&error)),
        };
    }
    match (bearer(headers).map_err(refuse)?, offered) {
        (Some(_), Some(_)) => {
            Err(Problem::new(ProblemType::BadHandshake).with_detail(Sentence::TwoTokens))
        }
        (Some(token), None) => {
            let claims = verifier.verify(token).await;
            claims.map(|claims| TokenShown::Caller(claims.into())).map_err(refuse)
        }
        (None, Some(token)) => match verifier.verify(token).await {
            Ok(claims) => Ok(TokenShown::Caller(claims.into())),
            // The token may be good: the client must come again.
            Err(refused @ TokenRejection::UnknownKey) => Err(refuse(refused)),
            Err(refused) => Ok(TokenShown::Bad(refused, reserve(state, address)?)),
        },
        (None, None) => Ok(TokenShown::Nothing(reserve(state, address)?)),
    }
}

/// Waits for the token, which must be the first message. After an error the socket must be closed;
/// the client has been sent the problem of an invalid token.
pub async fn wait(
    state: &AppState,
    socket: &mut Socket,
    place: &WaitingPlace,
) -> Result<(Claims, Option<CommandId>), Closed> {
    let first = async {
        loop {
            match socket.receive_in_turn().await {
                SocketInput::Text(text) => return Ok(text),
                SocketInput::Binary(_) => return Err(Closed::With(CloseCode::NotText)),
                SocketInput::Control | SocketInput::Fragment => {}
                SocketInput::Closed(closed) => return Err(closed),
            }
        }
    };
    let text = tokio::select! {
        first = timeout(PATIENCE, first) => first.unwrap_or_else(|_| {
            state.refusals.count(Cause::AuthTimeout);
            Err(Closed::With(CloseCode::AuthTimeout))
        })?,
        () = place.displaced() => {
            state.refusals.count(Cause::Unproven);
            return Err(Closed::With(CloseCode::TryLater));
        }
        () = state.readiness.leaving() => return Err(Closed::With(CloseCode::Restart)),
    };
    let (id, problem) = match ClientFrame::parse(&text, Audience::Hero) {
        Ok(ClientFrame { id, command: Command::Auth { token } }) => {
            match verify(state, &token).await {
                Ok(claims) => return Ok((claims, id)),
                Err(problem) => (id, problem),
            }
        }
        Ok(ClientFrame { id, .. }) | Err((id, _)) => {
            let problem = unauthorized(state, None);
            (id, problem.with_detail(Sentence::FirstMessage))
        }
    };
    // A token that cannot be checked now may be good: the client must come again.
    let closed = if problem.kind == ProblemType::Unauthorized {
        CloseCode::TokenExpired
    } else {
        CloseCode::TryLater
    };
    let problem = problem.spoken_in(socket.language());
    socket.send(ServerFrame::Error { id, problem: Box::new(problem) }.encode()).await?;
    Err(Closed::With(closed))
}

fn reserve(state: &AppState, address: Address) -> Result<WaitingPlace, Problem> {
    if state.readiness.is_gone() {
        return Err(Problem::new(ProblemType::Draining).with_retry_after(RETRY_AFTER_MS));
    }
    Ok(state.unproven.take(address))
}
