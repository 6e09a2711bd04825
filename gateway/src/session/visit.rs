//! What becomes of a socket after the upgrade, depending on what its handshake showed.

use std::sync::Arc;

use galley_protocol::close::CloseCode;
use galley_protocol::frame::{CommandId, ServerFrame};
use galley_protocol::{HeroId, Problem, ResumeCursor};
use tokio::sync::OwnedSemaphorePermit;

use super::entrance::{Entered, close_code, enter};
use super::proof::{authenticated, wait};
use super::socket::Socket;
use super::wire::Closed;
use crate::hub::Outbox;
use crate::state::AppState;

/// A socket after its upgrade.
pub enum Visit {
    /// It has come in.
    Entered(Entered),
    /// Its first message must show who it is.
    Unproven(Unproven),
    /// Its token was not good.
    Refused(Problem, OwnedSemaphorePermit),
}

/// What a socket wants that has not shown who it is.
pub struct Unproven {
    /// Whose socket it wants to be.
    pub hero_id: Option<HeroId>,
    /// Where to resume.
    pub since: Option<ResumeCursor>,
    /// What it will be told.
    pub outbox: Arc<Outbox>,
    /// Its place among those without a token.
    pub place: OwnedSemaphorePermit,
}

/// A socket that is to be served.
pub struct Admitted {
    /// Who it is.
    pub entered: Entered,
    /// Its wire.
    pub socket: Socket,
    /// What to say after the welcome.
    pub first: Option<String>,
}

impl Visit {
    /// Lets the socket in, or closes it.
    pub async fn admit(self, state: &AppState, socket: Socket) -> Option<Admitted> {
        match self {
            Self::Entered(entered) => Some(Admitted { entered, socket, first: None }),
            Self::Unproven(unproven) => unproven.prove(state, socket).await,
            Self::Refused(problem, _place) => {
                refuse(socket, None, problem, CloseCode::TokenExpired).await;
                None
            }
        }
    }
}

impl Unproven {
    async fn prove(self, state: &AppState, mut socket: Socket) -> Option<Admitted> {
        let Self { hero_id, since, outbox, place } = self;
        let (claims, id) = match wait(state, &mut socket).await {
            Ok(shown) => shown,
            Err(closed) => {
                socket.close(closed).await;
                return None;
            }
        };
        drop(place);
        match enter(state, claims.into(), hero_id, since, outbox).await {
            Ok(entered) => Some(Admitted { entered, socket, first: Some(authenticated(id, claims)) }),
            Err(problem) => {
                let code = close_code(&problem);
                refuse(socket, id, problem, code).await;
                None
            }
        }
    }
}

/// Says why, as far as the client still hears it, and closes.
async fn refuse(mut socket: Socket, id: Option<CommandId>, problem: Problem, code: CloseCode) {
    let _ = socket.send(ServerFrame::Error { id, problem: Box::new(problem) }.encode()).await;
    socket.close(Closed::With(code)).await;
}
