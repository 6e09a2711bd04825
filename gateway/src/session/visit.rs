//! What becomes of a socket after the upgrade, depending on what its handshake showed.

use std::sync::Arc;

use galley_protocol::close::CloseCode;
use galley_protocol::frame::{CommandId, ServerFrame};
use galley_protocol::{HeroId, Problem, ResumeCursor};
use tokio::sync::OwnedSemaphorePermit;

use super::entrance::{Entered, close_code, enter};
use super::proof::{authenticated, wait};
use super::run;
use super::socket::Socket;
use super::wire::Closed;
use crate::hub::Outbox;
use crate::state::AppState;

/// A socket after its upgrade.
pub enum Visit {
    /// It has come in.
    Entered(Box<Entered>),
    /// Its first message must show who it is.
    Unproven {
        /// Whose socket it wants to be.
        hero_id: Option<HeroId>,
        /// Where to resume.
        since: Option<ResumeCursor>,
        /// What it will be told.
        outbox: Arc<Outbox>,
        /// Its place among those without a token.
        place: OwnedSemaphorePermit,
    },
    /// Its token was not good.
    Refused(Problem, OwnedSemaphorePermit),
}

impl Visit {
    /// Serves the socket until either side closes it.
    pub async fn receive(self, state: AppState, mut socket: Socket) {
        match self {
            Self::Entered(entered) => run(state, *entered, socket, None).await,
            Self::Unproven { hero_id, since, outbox, place } => {
                let (claims, id) = match wait(&state, &mut socket).await {
                    Ok(shown) => shown,
                    Err(closed) => return socket.close(closed).await,
                };
                drop(place);
                match enter(&state, claims.into(), hero_id, since, outbox).await {
                    Ok(entered) => run(state, entered, socket, Some(authenticated(id, claims))).await,
                    Err(problem) => refuse(socket, id, problem).await,
                }
            }
            Self::Refused(problem, _place) => {
                send_problem(&mut socket, None, problem).await;
                socket.close(Closed::With(CloseCode::TokenExpired)).await;
            }
        }
    }
}

async fn refuse(mut socket: Socket, id: Option<CommandId>, problem: Problem) {
    let code = close_code(&problem);
    send_problem(&mut socket, id, problem).await;
    socket.close(Closed::With(code)).await;
}

/// The close comes next, whatever becomes of this.
async fn send_problem(socket: &mut Socket, id: Option<CommandId>, problem: Problem) {
    let _ = socket.send(ServerFrame::Error { id, problem: Box::new(problem) }.encode()).await;
}
