//! The ordered stop of a gateway. It must leave no client worse off than a `kill -9` would.
//!
//! 1. *Not ready.* During the shutdown delay `/readyz` says `draining`, and everything is still
//!    served, new sockets too. A balancer that probes it has time to send its clients elsewhere.
//! 2. *Closed.* The listener is closed. The kernel refuses new connections, and any client or
//!    balancer then tries another gateway, or tries again later. An answer of 503 would be final
//!    for a browser's event stream, and `least_conn` would prefer a gateway that answers it fast.
//!    Answers say `Connection: close`. A connection that stays idle is closed after [`QUIET`], when
//!    no request is on its way.
//! 3. *Sockets closed.* Each socket and event stream is asked to reconnect and then closed, at a
//!    random moment within the drain window, so that the other gateways are not overrun. If no
//!    other gateway receives updates, the clients could only wait for the restart: then all are
//!    closed together, after a short window.
//! 4. *Gone.* All commits have been published. The caller says goodbye on the bus and closes the
//!    store.
//!
//! Each step is bounded: a client, database or Redis that hangs delays the end by [`GRACE`] at
//! most, in each step.

use std::convert::Infallible;
use std::time::Duration;

use galley_launch::{StopOrder, Supervisor};
use rand::RngExt as _;

use crate::state::AppState;

/// Time that requests in flight, closing sockets and the last announcements have to end.
pub const GRACE: Duration = Duration::from_secs(5);
/// How long a connection must be idle before a leaving gateway closes it. A pool that sends
/// requests uses each of its connections more often, and then receives an answer with
/// `Connection: close`.
pub const QUIET: Duration = Duration::from_millis(500);

/// Timeout of a census while leaving, and the pause between two.
const CENSUS: Duration = Duration::from_secs(1);

/// Closes the listener, closes every socket within the window, and waits for them and for the
/// requests in flight.
pub async fn leave(state: &AppState, supervisor: &mut Supervisor, window: Duration) {
    let is_alone = is_alone(state).await;
    // No other gateway could take the sockets: a long window would only delay the restart.
    let window = if is_alone { QUIET.min(window) } else { window };
    tracing::info!(sockets = state.hub.count(), ?window, is_alone, "leaving");
    state.readiness.set_leaving(window);
    let closing = supervisor.leave(StopOrder::First, window + GRACE);
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

pub fn random_moment(window: Duration) -> Duration {
    window.mul_f64(rand::rng().random_range(0.0..=1.0))
}

/// Closes all sockets at once when the last other gateway leaves as well. Never returns.
async fn hurry_when_alone(state: &AppState) -> Infallible {
    loop {
        tokio::time::sleep(CENSUS).await;
        if is_alone(state).await {
            state.hub.for_each(|outbox| outbox.leave(Duration::ZERO));
            return std::future::pending().await;
        }
    }
}

/// Returns true if no other gateway receives updates, so that none could take over the sockets.
///
/// Takes a census, which also records that this gateway is no place to send clients to.
async fn is_alone(state: &AppState) -> bool {
    let own = state.bus.publisher();
    match tokio::time::timeout(CENSUS, state.commands.store().census(own, false)).await {
        Ok(Ok(census)) => census.hearing.iter().all(|gateway| *gateway == own),
        // Others may well live: only this gateway's connection may have failed.
        Ok(Err(_)) | Err(_) => false,
    }
}
