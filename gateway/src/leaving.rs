//! A gateway leaves, in order, so that nobody is worse off than after kill -9.
//!
//! 1. *Red.* `/readyz` says `draining`, and everything is served, new sockets too, for the shutdown
//!    delay: time for balancers that ask to send their clients elsewhere.
//! 2. *Closed.* The listener is gone. The kernel refuses connections, and every client and balancer
//!    takes that for "another one, or later"; an answer of 503 would be final for a browser's event
//!    stream, and `least_conn` would prefer a gateway that answers it fast. Answers say
//!    `Connection: close`, and a connection that stays idle is closed after [`QUIET`], when no
//!    request is on its way.
//! 3. *Sent away.* Each socket and event stream is told to come back, and closed at once after
//!    that, at a random moment within the drain window, so that the others are not overrun. A
//!    client that is closed finds another gateway, or nobody until the next one listens. Where no
//!    other gateway hears, an early close would only make a client wait for the restart: then all
//!    go together, and at the end.
//! 4. *Gone.* What was committed is published. The caller says goodbye on the bus, and closes the
//!    store.
//!
//! Each step is bounded: a client, database or Redis that is stuck holds the end up by [`GRACE`] at
//! a time and no longer.

use std::convert::Infallible;
use std::time::Duration;

use galley_launch::{Crew, StopOrder};
use rand::RngExt as _;

use crate::state::AppState;

/// How long requests in flight, sockets that were told to close, and the last announcements may
/// take to end.
pub const GRACE: Duration = Duration::from_secs(5);
/// How long a connection must be idle to be closed by a gateway that leaves: a pool that sends
/// requests uses each of its connections more often than that, and then the answer says
/// `Connection: close`.
pub const QUIET: Duration = Duration::from_millis(500);

/// How long the database may take to say who else lives, and how often it is asked.
const CENSUS: Duration = Duration::from_secs(1);

/// Closes the listener, sends every socket away within the window, and waits for them and for the
/// requests in flight.
pub async fn leave(state: &AppState, crew: &mut Crew, window: Duration) {
    let is_alone = is_alone(state).await;
    let window = if is_alone { QUIET.min(window) } else { window };
    tracing::info!(sockets = state.hub.count(), ?window, is_alone, "leaving");
    state.readiness.set_leaving(window);
    let closing = crew.leave(StopOrder::First, window + GRACE);
    let sending = async {
        let moment = || if is_alone { window } else { random_moment(window) };
        state.hub.for_each(|outbox| outbox.leave(moment()));
        state.sockets.close();
        let all_gone = tokio::select! {
            gone = tokio::time::timeout(window + GRACE, state.sockets.wait()) => gone.is_ok(),
            never = hurry_when_alone(state), if !is_alone => match never {},
        };
        if !all_gone {
            tracing::warn!(
                sockets = state.hub.count(),
                "some sockets did not go in time; they are cut"
            );
        }
        state.readiness.set_gone();
    };
    tokio::join!(closing, sending);
}

/// A random moment within a window.
pub fn random_moment(window: Duration) -> Duration {
    window.mul_f64(rand::rng().random_range(0.0..=1.0))
}

/// Sends all away at once when the last other gateway leaves as well.
async fn hurry_when_alone(state: &AppState) -> Infallible {
    loop {
        tokio::time::sleep(CENSUS).await;
        if is_alone(state).await {
            state.hub.for_each(|outbox| outbox.leave(Duration::ZERO));
            return std::future::pending().await;
        }
    }
}

/// Returns true if no other gateway hears what is published, so that nobody could take the sockets.
///
/// Asks the database, and shows it that this gateway is no place to send clients to.
async fn is_alone(state: &AppState) -> bool {
    let own = state.bus.publisher();
    match tokio::time::timeout(CENSUS, state.desk.store().census(own, false)).await {
        Ok(Ok(census)) => census.hearing.iter().all(|gateway| *gateway == own),
        // Others may well live: they do not depend on this gateway's connection.
        Ok(Err(_)) | Err(_) => false,
    }
}
