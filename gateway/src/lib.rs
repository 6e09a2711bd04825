//! REST, WebSocket and dashboard: what a hero talks to.
//!
//! A gateway holds no truth. It hands requests to the store in batches, tells the bus what was
//! committed, hears what others committed and delivers it to its sockets. Any number of gateways
//! may serve the same heroes.

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
mod leaving;
mod limits;
pub mod metrics;
mod probes;
mod pulse;
mod refusals;
mod rest;
mod retry;
mod session;
mod state;
mod store_problems;
mod totals;
mod versions;
mod web;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use galley_bus::SharedBus;
use galley_launch::{Crew, Died, Failure, ListenError, Listener, StopOrder};
use galley_store::Store;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::{Auth, Config};
use desk::Desk;
use hub::Hub;
use leaving::{GRACE, QUIET};
use limits::Seats;
use refusals::Refusals;
use session::opening::proof::MAX_UNPROVEN;
use state::{AppState, Parts, Readiness};

/// A gateway that has its address.
pub struct Gateway {
    listener: Listener,
    state: AppState,
    /// The tasks that must not end; before it runs, those of the desk.
    crew: Crew,
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
        let mut crew = Crew::default();
        let desk = Desk::start(&mut crew, store, Arc::clone(&bus), hub.clone());
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
            probes: probes::Probes::default(),
            hub,
            seats,
            readiness: Readiness::default(),
            sockets: TaskTracker::new(),
        });
        Ok(Self { listener, state, crew })
    }

    /// Where clients reach it: `http://127.0.0.1:8080`, or `unix:/path`.
    #[must_use]
    pub fn address(&self) -> String {
        self.listener.to_string()
    }

    /// Serves until `stop`, then leaves in order (`leaving.rs`) and returns when all clients have
    /// gone, or shortly after the drain window. What was committed is published by then. A part
    /// that dies ends it as well, without delay and window: its clients need another gateway.
    ///
    /// # Errors
    /// [`Died`] when a part of it did.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Died> {
        let Self { listener, state, mut crew } = self;
        let Config { ping_interval, pong_timeout, max_socket_age, drain, .. } = state.config;
        // Before any socket is here. Without an answer the first cursors begin anew, until the hub
        // is told more.
        if let Ok(safe) = state.desk.store().present().await {
            state.hub.advance(safe);
        }
        crew.hire(StopOrder::Second, "subscriber of updates", |stop| {
            let store = Arc::clone(state.desk.store());
            ear::listen(
                Arc::clone(&state.bus),
                state.hub.clone(),
                store,
                state.readiness.clone(),
                stop,
            )
        });
        let bus = Arc::clone(&state.bus);
        crew.hire(StopOrder::Second, "bus", async move |stop| {
            _ = stop.run_until_cancelled(bus.broken()).await;
        });
        let tokens_expire = state.verifier.is_some();
        crew.hire(StopOrder::Second, "heartbeat of sockets", |stop| {
            pulse::beat(
                state.hub.clone(),
                ping_interval,
                pong_timeout,
                max_socket_age,
                tokens_expire,
                stop,
            )
        });
        crew.hire(StopOrder::First, "accept loop", |stop| {
            http::serve(listener, router(state.clone()), stop, QUIET.min(drain))
        });

        let told_to_leave = async {
            stop.cancelled().await;
            state.readiness.set_draining();
            tokio::time::sleep(state.config.shutdown_delay()).await;
        };
        let died = tokio::select! {
            () = told_to_leave => None,
            died = crew.death() => Some(died),
        };
        state.readiness.set_draining();
        leaving::leave(&state, &mut crew, if died.is_some() { Duration::ZERO } else { drain })
            .await;
        crew.leave(StopOrder::Second, GRACE).await;
        if !crew.leave(StopOrder::Last, GRACE).await {
            state.bus.lose(); // the others read in the database what was not announced
        }
        died.map_or(Ok(()), Err)
    }
}

fn router(state: AppState) -> Router {
    let routes = rest::router(&state)
        .merge(dashboard::router())
        .route("/ws", any(session::opening::handshake::open));
    #[cfg(feature = "conformance")]
    let routes = routes.route("/echo", session::echo::route());
    web::layers(routes, &state).with_state(state)
}
