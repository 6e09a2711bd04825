//! A socket after the upgrade: it is welcomed, authenticated or closed, depending on its handshake.

use std::sync::Arc;

use galley_protocol::close::CloseCode;
use galley_protocol::frame::{CommandId, ServerFrame};
use galley_protocol::{HeroId, Problem, ResumeCursor};
use tokio::sync::OwnedSemaphorePermit;

use super::Connection;
use super::entrance::{Entered, close_code, enter};
use super::proof::{authenticated, wait};
use super::socket::Socket;
use super::wire::Closed;
use crate::hub::Outbox;
use crate::limits::Seat;
use crate::state::AppState;

/// A socket after its upgrade.
pub enum Visit {
    /// An admitted client.
    Entered(Box<Entered>),
    /// A client whose first message must be a token.
    Unproven {
        /// Its seat.
        seat: Seat,
        /// The requested hero; `None` for staff.
        hero_id: Option<HeroId>,
        /// The cursor to resume from, if any.
        since: Option<ResumeCursor>,
        /// The outbox of the client.
        outbox: Arc<Outbox>,
        /// Its place among the sockets without a token.
        place: OwnedSemaphorePermit,
    },
    /// A client whose token is invalid.
    Refused(Problem, OwnedSemaphorePermit),
}

impl Visit {
    /// Welcomes the client, or closes the socket.
    pub async fn receive(self, state: AppState, mut socket: Socket) -> Option<Box<Connection>> {
        match self {
            Self::Entered(entered) => Connection::begin(state, *entered, socket, None).await,
            Self::Unproven { seat, hero_id, since, outbox, place } => {
                let (claims, id) = match wait(&state, &mut socket).await {
                    Ok(shown) => shown,
                    Err(closed) => {
                        socket.close(closed).await;
                        return None;
                    }
                };
                drop(place);
                match enter(&state, seat, claims.into(), hero_id, since, outbox).await {
                    Ok(entered) => {
                        Connection::begin(state, entered, socket, Some(authenticated(id, claims)))
                            .await
                    }
                    Err(problem) => {
                        refuse(socket, id, problem).await;
                        None
                    }
                }
            }
            Self::Refused(problem, _place) => {
                send_problem(&mut socket, None, problem).await;
                socket.close(Closed::With(CloseCode::TokenExpired)).await;
                None
            }
        }
    }
}

async fn refuse(mut socket: Socket, id: Option<CommandId>, problem: Problem) {
    let code = close_code(&problem);
    send_problem(&mut socket, id, problem).await;
    socket.close(Closed::With(code)).await;
}

/// Sends a problem. Errors are ignored, because the socket is closed next.
async fn send_problem(socket: &mut Socket, id: Option<CommandId>, problem: Problem) {
    let _ = socket.send(ServerFrame::Error { id, problem: Box::new(problem) }.encode()).await;
}
