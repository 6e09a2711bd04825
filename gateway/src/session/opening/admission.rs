//! The admission of a client, on a WebSocket or an event stream. Everything that can be refused is
//! refused here.

use std::sync::Arc;

use galley_protocol::close_code::CloseCode;
use galley_protocol::{HeroId, Problem, ProblemType, ResumeCursor, Sentence};
use galley_store::{Snapshot, SnapshotRequest};
use rand::RngExt as _;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::hub::{Membership, Outbox, TooMany};
use crate::leaving::random_moment;
use crate::limits::{self, Address, CallerKey, NoSeat, Seat};
use crate::state::AppState;
use crate::store_problems::no_hero;
use crate::web::Caller;
use crate::web::request_identity::language;

/// The wait that a refused client is asked for, in milliseconds.
const RETRY_AFTER_MS: u64 = 5_000;

#[derive(Debug)]
pub struct Admitted {
    pub seat: Seat,
    pub place: Membership,
    /// Its role on this stream.
    pub role: Role,
    /// The caller that its token names.
    pub caller: Caller,
    /// The unit of its limits.
    pub key: CallerKey,
    /// Keeps the gateway from ending before this is dropped.
    pub token: TaskTrackerToken,
}

#[derive(Debug)]
pub enum Role {
    /// A hero, with the content of its welcome.
    Hero(Box<Snapshot>),
    Staff,
}

/// Returns the outbox of a socket or an event stream, in the language of the request in progress.
pub fn outbox(state: &AppState) -> Arc<Outbox> {
    // The age is random, so that sockets that connected together are not closed together.
    let most = state.config.max_socket_age;
    let age = most.saturating_sub((most / 10).mul_f64(rand::rng().random_range(0.0..=1.0)));
    Arc::new(Outbox::new(state.config.send_queue).living(age).speaking(language()))
}

/// Takes a seat, before anything else is done for the client: `overloaded`, `too-many-sockets`.
pub fn seat(state: &AppState, address: Address) -> Result<Seat, Problem> {
    state.seats.take(address).map_err(no_seat)
}

/// Admits a client. A hero's token already says which hero it is. Problems: `too-many-sockets`,
/// `rate-limited`, `draining`, `hero-not-found` (also if the caller may not see it), or one of the
/// database.
pub async fn enter(
    state: &AppState,
    seat: Seat,
    caller: Caller,
    hero_id: Option<HeroId>,
    since: Option<ResumeCursor>,
    outbox: Arc<Outbox>,
) -> Result<Admitted, Problem> {
    let hero_id = match hero_id {
        Some(id) if !caller.may_see(id) => return Err(no_hero(id)),
        hero_id => hero_id.or(caller.hero_id()),
    };
    if let Some(claims) = caller.claims() {
        outbox.take_token(claims);
    }
    let key = caller.key(hero_id, seat.address());
    state.limits.open(key)?;
    let token = state.sockets.token();
    // Join first, then read: changes in between wait in the outbox.
    let place =
        state.hub.join(hero_id, state.config.max_sockets_per_hero, outbox).map_err(|TooMany| {
            limits::count("sockets-per-hero");
            Problem::new(ProblemType::TooManySockets)
                .with_detail(Sentence::HeroSockets)
                .with_retry_after(RETRY_AFTER_MS)
        })?;
    // The connection may have been accepted before the listener closed. The check must follow the
    // join: a socket that joins before the flag is set is closed together with all others.
    if state.readiness.is_gone() {
        return Err(Problem::new(ProblemType::Draining).with_retry_after(RETRY_AFTER_MS));
    }
    if let Some(window) = state.readiness.window() {
        place.outbox().leave(random_moment(window));
    }
    let role = match hero_id {
        Some(hero_id) => {
            let turn = state.limits.snapshots.take(key).await?;
            let request = SnapshotRequest { hero_id, since };
            Role::Hero(Box::new(state.commands.snapshot(turn, request).await?))
        }
        None => Role::Staff,
    };
    Ok(Admitted { seat, place, role, caller, key, token })
}

/// Returns the close code for a client that was refused after the upgrade.
pub fn close_code(problem: &Problem) -> CloseCode {
    match problem.status {
        404 => CloseCode::Policy,
        _ if problem.kind == ProblemType::Draining => CloseCode::GoingAway,
        _ => CloseCode::TryLater,
    }
}

fn no_seat(full: NoSeat) -> Problem {
    let (limit, kind, detail) = match full {
        NoSeat::Gateway => ("sockets", ProblemType::Overloaded, Sentence::GatewaySockets),
        NoSeat::Address => {
            ("sockets-per-ip", ProblemType::TooManySockets, Sentence::AddressSockets)
        }
    };
    limits::count(limit);
    Problem::new(kind).with_detail(detail).with_retry_after(RETRY_AFTER_MS)
}
