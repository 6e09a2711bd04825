//! REST, WebSocket and dashboard: what a hero talks to.
//!
//! A gateway holds no truth. It hands requests to the store in batches, tells the bus what was committed, hears what
//! others committed and delivers it to its sockets. Any number of gateways may serve the same heroes.

mod announcer;
pub mod auth;
mod batcher;
mod config;
mod dashboard;
mod desk;
mod ear;
mod feed;
mod framing;
mod hearing;
mod http;
mod hub;
mod limits;
pub mod metrics;
mod pulse;
mod refusals;
mod rest;
mod retry;
mod session;
mod state;
mod totals;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use galley_bus::SharedBus;
use galley_launch::{Failure, ListenError, Listener};
use galley_store::Store;
use rand::RngExt as _;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::{Auth, Config};
use desk::Desk;
use hub::Hub;
use limits::Seats;
use refusals::Refusals;
use session::proof::MAX_UNPROVEN;
use state::{AppState, Parts, Readiness};

/// How long requests in flight, and sockets that were told to close, may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// A gateway that has its address.
pub struct Gateway {
    listener: Listener,
    state: AppState,
    /// The tasks that end when the last handle on the state is gone.
    background: TaskTracker,
}

/// Why a gateway cannot begin.
#[derive(Debug, Error)]
pub enum BindError {
    /// A setting that must not be.
    #[error("{0}")]
    Config(String),
    /// The address is taken, or not ours.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        match error {
            BindError::Config(_) => Self::Usage(error.to_string()),
            BindError::Listen(_) => Self::failed(error),
        }
    }
}

/// Why a gateway ended without being told to.
#[derive(Debug, Error)]
#[error("a part without which nobody is told anything died: {0}")]
pub struct Died(tokio::task::JoinError);

impl Gateway {
    /// Takes the address; connections wait until [`Gateway::run`]. Within a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`], of which [`BindError::Config`] cannot be cured by waiting.
    pub fn bind(config: Config, store: Arc<dyn Store>, bus: SharedBus) -> Result<Self, BindError> {
        let (verifier, origins) = (config.verifier()?, config.origins()?);
        let listener = Listener::bind(&config.listen, config.reuse_port)?;
        metrics::install();
        let hub = Hub::new(store.cursor_keys().clone());
        let background = TaskTracker::new();
        let desk = Desk::start(&background, store, Arc::clone(&bus), hub.clone());
        let seats = Seats::new(config.max_sockets, config.max_sockets_per_ip);
        let state = AppState::from(Parts {
            config,
            verifier,
            origins,
            refusals: Refusals::default(),
            unproven: Arc::new(Semaphore::new(MAX_UNPROVEN)),
            desk,
            totals: totals::Totals::default(),
            bus,
            probes: rest::health::Probes::default(),
            hub,
            seats,
            readiness: Readiness::default(),
            sockets: TaskTracker::new(),
        });
        Ok(Self { listener, state, background })
    }

    /// Where clients reach it: `http://127.0.0.1:8080`, or `unix:/path`.
    #[must_use]
    pub fn address(&self) -> String {
        self.listener.to_string()
    }

    /// Serves until `stop`, then leaves: takes no new socket, tells each socket when to go, spread over the drain window,
    /// and returns when all have gone or shortly after the window.
    ///
    /// # Errors
    /// [`Died`] when a part of it did; then it leaves as well.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Died> {
        let Self { listener, state, background } = self;
        let ended = CancellationToken::new();
        let Config { ping_interval, pong_timeout, max_socket_age, drain, .. } = state.config;
        // Before any socket is here. Without an answer the first cursors begin anew, until the hub is told more.
        if let Ok(safe) = state.desk.store().present().await {
            state.hub.advance(safe);
        }
        let mut vital = JoinSet::new();
        let store = Arc::clone(state.desk.store());
        vital.spawn(ear::listen(Arc::clone(&state.bus), state.hub.clone(), store, state.readiness.clone(), ended.clone()));
        let tokens_expire = state.verifier.is_some();
        let hub = state.hub.clone();
        vital.spawn(pulse::beat(hub, ping_interval, pong_timeout, max_socket_age, tokens_expire, ended.clone()));
        let server = tokio::spawn(http::serve(listener, router(state.clone()), ended.clone(), GRACE));

        // A gateway that lives on without its ear would be deaf for good: better none than half of one.
        let died = tokio::select! {
            () = stop.cancelled() => None,
            Some(Err(error)) = vital.join_next() => Some(Died(error)),
        };
        state.readiness.set_draining();
        leave(&state, drain).await;
        ended.cancel();
        if let Err(error) = server.await {
            tracing::error!(%error, "the accept loop ended badly");
        }
        vital.shutdown().await;
        drop(state);
        background.close();
        if tokio::time::timeout(GRACE, background.wait()).await.is_err() {
            tracing::warn!("left before everything was announced; workers and gateways find it in the database");
        }
        died.map_or(Ok(()), Err)
    }
}

/// Sends every socket away, each at its own random moment within the window, and waits for them.
async fn leave(state: &AppState, window: Duration) {
    tracing::info!(sockets = state.hub.count(), ?window, "leaving");
    state.hub.for_each(|outbox| outbox.leave(window.mul_f64(rand::rng().random_range(0.0..=1.0))));
    state.sockets.close();
    if tokio::time::timeout(window + GRACE, state.sockets.wait()).await.is_err() {
        tracing::warn!(sockets = state.hub.count(), "some sockets did not go in time; they are cut");
    }
}

fn router(state: AppState) -> Router {
    let routes = rest::router(&state).merge(dashboard::router()).route("/ws", any(session::handshake::open));
    #[cfg(feature = "conformance")]
    let routes = routes.route("/echo", session::socket::echo::route());
    http::layers(routes, &state).with_state(state)
}
