//! How a client comes in, by WebSocket or for an event stream: everything that can be refused is
//! refused here.

use std::sync::Arc;

use galley_protocol::close::CloseCode;
use galley_protocol::{HeroId, Problem, ProblemType, ResumeCursor};
use galley_store::{Snapshot, SnapshotRequest};
use rand::RngExt as _;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::hub::{Outbox, Place, TooMany};
use crate::leaving::random_moment;
use crate::limits::{self, Address, Full, Seat};
use crate::state::AppState;
use crate::store_problems::no_hero;
use crate::web::Caller;

/// What a refused client is told to wait.
const RETRY_AFTER_MS: u64 = 5_000;

/// A client that has come in.
#[derive(Debug)]
pub struct Entered {
    /// One of the gateway's seats.
    pub seat: Seat,
    /// Its place in the hub.
    pub place: Place,
    /// Who it is here.
    pub role: Role,
    /// Who it is by its token.
    pub caller: Caller,
    /// The gateway does not leave before this is gone.
    pub token: TaskTrackerToken,
}

/// Who a client is.
#[derive(Debug)]
pub enum Role {
    /// A hero, with what the welcome tells.
    Hero(Box<Snapshot>),
    /// Staff.
    Staff,
}

/// An outbox for a client that wants to come in.
pub fn outbox(state: &AppState) -> Arc<Outbox> {
    // Each at its own moment: those that came together do not go together.
    let most = state.config.max_socket_age;
    let age = most.saturating_sub((most / 10).mul_f64(rand::rng().random_range(0.0..=1.0)));
    Arc::new(Outbox::new(state.config.send_queue).living(age))
}

/// A seat for a client of this address, which is taken before anything else is done for it.
///
/// # Errors
/// `overloaded` or `too-many-sockets`.
pub fn seat(state: &AppState, address: Address) -> Result<Seat, Problem> {
    state.seats.take(address).map_err(no_seat)
}

/// Lets a client in: a hero's, or staff's. A hero's token already says which hero it is.
///
/// # Errors
/// `too-many-sockets`, `draining`, `hero-not-found`, also for a hero that the caller may not see,
/// or the database is away.
pub async fn enter(
    state: &AppState,
    seat: Seat,
    caller: Caller,
    hero_id: Option<HeroId>,
    since: Option<ResumeCursor>,
    outbox: Arc<Outbox>,
) -> Result<Entered, Problem> {
    let hero_id = match hero_id {
        Some(id) if !caller.may_see(id) => return Err(no_hero(id)),
        hero_id => hero_id.or(caller.hero_id()),
    };
    if let Some(claims) = caller.claims() {
        outbox.good_until(claims.expires);
    }
    let token = state.sockets.token();
    // Join first, read then: what happens in between waits in the outbox.
    let place =
        state.hub.join(hero_id, state.config.max_sockets_per_hero, outbox).map_err(|TooMany| {
            limits::count("sockets-per-hero");
            Problem::new(ProblemType::TooManySockets)
                .with_detail("this hero holds as many sockets as it may")
                .with_retry_after(RETRY_AFTER_MS)
        })?;
    // A connection that was there before the listener closed. After joining: a socket that joined
    // earlier is sent away with all others.
    if state.readiness.is_gone() {
        return Err(Problem::new(ProblemType::Draining).with_retry_after(RETRY_AFTER_MS));
    }
    if let Some(window) = state.readiness.window() {
        place.outbox().leave(random_moment(window));
    }
    let role = match hero_id {
        Some(hero_id) => {
            Role::Hero(Box::new(state.desk.snapshot(SnapshotRequest { hero_id, since }).await?))
        }
        None => Role::Staff,
    };
    Ok(Entered { seat, place, role, caller, token })
}

/// How a socket is closed whose client was kept out after the upgrade.
pub fn close_code(problem: &Problem) -> CloseCode {
    match problem.status {
        404 => CloseCode::Policy,
        _ if problem.kind == ProblemType::Draining => CloseCode::GoingAway,
        _ => CloseCode::TryLater,
    }
}

fn no_seat(full: Full) -> Problem {
    let (limit, kind, detail) = match full {
        Full::Gateway => (
            "sockets",
            ProblemType::Overloaded,
            "this gateway holds as many sockets as it may; another may have room",
        ),
        Full::Address => (
            "sockets-per-ip",
            ProblemType::TooManySockets,
            "this address holds as many sockets as it may",
        ),
    };
    limits::count(limit);
    Problem::new(kind).with_detail(detail).with_retry_after(RETRY_AFTER_MS)
}
