//! A socket after the upgrade: it is welcomed, authenticated or closed, depending on its handshake.

use std::sync::Arc;
use std::time::Duration;

use galley_protocol::close_code::CloseCode;
use galley_protocol::frame::{CommandId, ServerFrame};
use galley_protocol::{HeroId, Problem, ResumeCursor};
use tokio::time::timeout;

use super::admission::{Admitted, close_code, enter, seat};
use super::authentication::wait;
use super::welcome;
use crate::hub::Outbox;
use crate::limits::{Address, WaitingPlace};
use crate::session::running::Connection;
use crate::session::running::renewal::authenticated;
use crate::session::wire::socket::Socket;
use crate::session::wire::{Closed, send_frame};
use crate::state::AppState;

/// The longest farewell of a socket without a token: another one may have taken its place already.
const FAREWELL: Duration = Duration::from_millis(500);

pub enum Arrival {
    Entered(Box<Admitted>),
    /// A client whose first message must be a token.
    Unproven {
        address: Address,
        /// The requested hero; `None` for staff.
        hero_id: Option<HeroId>,
        /// The cursor to resume from, if any.
        since: Option<ResumeCursor>,
        outbox: Arc<Outbox>,
        /// Its place as a socket without a token.
        place: WaitingPlace,
    },
    /// A client whose token is invalid.
    Refused(Problem, WaitingPlace),
}

impl Arrival {
    /// Welcomes the client, or closes the socket.
    pub async fn receive(self, state: AppState, mut socket: Socket) -> Option<Box<Connection>> {
        match self {
            Self::Entered(entered) => admit(state, *entered, socket, None).await,
            Self::Unproven { address, hero_id, since, outbox, place } => {
                let (claims, id) = match wait(&state, &mut socket, &place).await {
                    Ok(shown) => shown,
                    Err(closed) => {
                        drop(timeout(FAREWELL, socket.close(closed)).await);
                        return None;
                    }
                };
                drop(place);
                let entered = async {
                    let seat = seat(&state, address)?;
                    enter(&state, seat, claims.into(), hero_id, since, outbox).await
                };
                match entered.await {
                    Ok(entered) => {
                        admit(state, entered, socket, Some(authenticated(id, claims))).await
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

/// Welcomes the client, and sends `first` after the welcome.
async fn admit(
    state: AppState,
    entered: Admitted,
    mut socket: Socket,
    first: Option<String>,
) -> Option<Box<Connection>> {
    let (key, who) = (entered.key, entered.caller.claims().map(|claims| claims.who));
    let (stream, welcome) = welcome::begin(state, entered);
    let welcomed = async {
        send_frame(&mut socket, welcome).await?;
        match first {
            Some(first) => socket.send(first).await,
            None => Ok(()),
        }
    };
    match welcomed.await {
        Ok(()) => Some(Box::new(Connection::new(stream, socket, key, who))),
        Err(closed) => {
            socket.close(closed).await;
            None
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
    let problem = problem.spoken_in(socket.language());
    let _ = socket.send(ServerFrame::Error { id, problem: Box::new(problem) }.encode()).await;
}
