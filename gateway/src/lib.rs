//! The gateway: REST, WebSocket, event streams and dashboard.
//!
//! A gateway keeps no state of record. It runs requests on the store in batches, publishes on the
//! bus what was committed, receives what other processes committed, and delivers it to its sockets.
//! Any number of gateways may serve the same heroes.

pub mod auth;
mod batcher;
mod commands;
mod dashboard;
mod feed;
mod framing;
mod gateway_config;
mod http;
mod hub;
mod leaving;
mod limits;
mod menu_watch;
pub mod metrics;
mod open_orders;
mod operations;
mod page_size;
mod probes;
mod refusals;
mod rest;
mod retry;
mod revocations;
mod service_history;
mod session;
mod socket_heartbeats;
mod state;
mod store_problems;
mod subscriber;
mod subscription_health;
mod totals_cache;
#[cfg(test)]
mod unit_test_store;
mod update_publisher;
mod versions;
mod web;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use galley_bus::SharedBus;
use galley_launch::{
    Failure, ListenError, Listener, Scrape, StopOrder, Supervisor, TaskDied, renew_logins,
};
use galley_store::Store;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use auth::RevokedHeroes;
use commands::Commands;
pub use gateway_config::{Auth, GatewayConfig};
use http::OpenConnections;
use hub::Hub;
use leaving::{GRACE, QUIET};
use limits::{CallerLimits, Seats, WaitingSockets};
use menu_watch::MenuWatch;
use open_orders::OpenOrders;
use operations::Operations;
use refusals::Refusals;
use revocations::RevocationReader;
use session::opening::authentication::MAX_UNPROVEN;
use state::{AppState, Parts, Readiness};
use web::observe::SOCKETS;

/// A gateway whose listener is bound.
pub struct Gateway {
    listener: Listener,
    state: AppState,
    /// The tasks that must not end. Before [`Gateway::run`] these are only the tasks of the
    /// commands.
    supervisor: Supervisor,
}

/// The error of a gateway that cannot start.
#[derive(Debug, Error)]
pub enum BindError {
    /// An invalid setting.
    #[error("{0}")]
    Config(String),
    /// The address is in use, or cannot be bound on this machine.
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
    /// Binds the address. Connections wait in the backlog until [`Gateway::run`]. Must be called
    /// within a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`]. After a [`BindError::Config`] a retry does not help.
    pub fn bind(
        config: GatewayConfig,
        store: Arc<dyn Store>,
        bus: SharedBus,
    ) -> Result<Self, BindError> {
        let revoked = RevokedHeroes::default();
        let verifier = config.verifier()?.map(|verifier| verifier.refusing(revoked.clone()));
        let provider = config.provider()?.map(Arc::new);
        let origins = config.origins()?;
        let (hosts, entrance) = (config.hosts()?, Arc::new(config.entrance()?));
        let listener = Listener::bind(&config.listen, "--listen", config.reuse_port)?;
        metrics::install();
        let scrape = Scrape::new(Arc::clone(&store));
        let hub = Hub::new(store.cursor_keys().clone());
        let mut supervisor = Supervisor::default();
        let limits = CallerLimits::new(
            (config.command_rate, config.write_rate),
            config.max_sockets_per_hero,
            config.max_reads_per_caller,
            store.reads_at_once(),
            verifier.is_some(),
        );
        let open_orders = OpenOrders::new(config.max_open_orders_per_hero, Arc::clone(&store));
        let bus_of_commands = Arc::clone(&bus);
        let commands =
            Commands::start(&mut supervisor, store, bus_of_commands, hub.clone(), open_orders);
        let seats = Seats::new(config.max_sockets, config.max_sockets_per_ip);
        let state = AppState::from(Parts {
            config,
            verifier,
            provider,
            revoked,
            origins,
            hosts,
            entrance,
            refusals: Refusals::default(),
            unproven: WaitingSockets::new(MAX_UNPROVEN),
            limits,
            commands,
            scrape,
            totals: totals_cache::TotalsCache::default(),
            bus,
            probes: probes::Probes::default(),
            hub,
            seats,
            readiness: Readiness::default(),
            operations: Operations::default(),
            sockets: TaskTracker::new(),
        });
        Ok(Self { listener, state, supervisor })
    }

    /// Returns the address for clients, such as `http://127.0.0.1:8080` or `unix:/path`.
    #[must_use]
    pub fn address(&self) -> String {
        self.listener.to_string()
    }

    /// Returns the routes of an address of their own, without tokens: `/metrics`, `/healthz` and
    /// `/readyz`.
    pub fn inspection(&self) -> Router {
        rest::inspection().with_state(self.state.clone())
    }

    /// Serves until `stop` is cancelled, then stops in order (`leaving.rs`). Returns once all
    /// clients are gone, or shortly after the drain window. Everything committed has been published
    /// by then. The death of a supervised task also ends the gateway, without shutdown delay and
    /// drain window, because its clients need another gateway.
    ///
    /// # Errors
    /// [`TaskDied`] if a supervised task died.
    pub async fn run(self, stop: CancellationToken) -> Result<(), TaskDied> {
        let Self { listener, state, mut supervisor } = self;
        let GatewayConfig { ping_interval, pong_timeout, max_socket_age, drain, .. } = state.config;
        // Before any socket joins. If the database does not answer, the first frames carry a
        // cursor from which a client starts over, until the first safe cursor arrives.
        if let Ok(safe) = state.commands.store().present().await {
            state.hub.advance(safe);
        }
        let mut revocations = RevocationReader::new(state.clone());
        revocations.read().await;
        supervisor
            .supervise(StopOrder::Second, "reader of revocations", |stop| revocations.follow(stop));
        let mut menu = MenuWatch::new(state.hub.clone(), Arc::clone(state.commands.store()));
        menu.read().await;
        supervisor
            .supervise(StopOrder::Second, "watch of heroes and menu", |stop| menu.follow(stop));
        supervisor.supervise(StopOrder::Second, "subscriber of updates", |stop| {
            let store = Arc::clone(state.commands.store());
            subscriber::listen(
                Arc::clone(&state.bus),
                state.hub.clone(),
                store,
                state.readiness.clone(),
                state.operations.clone(),
                stop,
            )
        });
        let (store, bus) = (Arc::clone(state.commands.store()), Arc::clone(&state.bus));
        supervisor.supervise(StopOrder::Second, "reader of logins", async move |stop| {
            _ = stop.run_until_cancelled(renew_logins(store, bus)).await;
        });
        if let Some(verifier) = state.verifier.clone() {
            let secret = state.config.tokens.secret.clone();
            let keys = Arc::clone(verifier.keys());
            supervisor.supervise(StopOrder::Second, "reader of secrets", async move |stop| {
                _ = stop.run_until_cancelled(auth::read_secrets(&secret, &verifier)).await;
            });
            if keys.has_source() {
                supervisor.supervise(StopOrder::Second, "reader of keys", async move |stop| {
                    _ = stop.run_until_cancelled(auth::read_keys(&keys)).await;
                });
            }
        }
        if let Some(provider) = state.provider.clone() {
            supervisor.supervise(StopOrder::Second, "reader of endpoints", async move |stop| {
                _ = stop.run_until_cancelled(auth::read_endpoints(&provider)).await;
            });
        }
        let bus = Arc::clone(&state.bus);
        supervisor.supervise(StopOrder::Second, "bus", async move |stop| {
            _ = stop.run_until_cancelled(bus.broken()).await;
        });
        let tokens_expire = state.verifier.is_some();
        supervisor.supervise(StopOrder::Second, "heartbeat of sockets", |stop| {
            socket_heartbeats::beat(
                state.hub.clone(),
                ping_interval,
                pong_timeout,
                max_socket_age,
                tokens_expire,
                stop,
            )
        });
        supervisor.supervise(StopOrder::First, "accept loop", |stop| {
            let entrance = Arc::clone(&state.entrance);
            let connections = OpenConnections::new(state.config.max_connections_per_ip);
            let app = router(state.clone());
            http::serve(listener, entrance, connections, app, stop, QUIET.min(drain))
        });

        let told_to_leave = async {
            stop.cancelled().await;
            state.readiness.set_draining();
            tokio::time::sleep(state.config.shutdown_delay()).await;
        };
        let died = tokio::select! {
            () = told_to_leave => None,
            died = supervisor.death() => Some(died),
        };
        state.readiness.set_draining();
        leaving::leave(
            &state,
            &mut supervisor,
            if died.is_some() { Duration::ZERO } else { drain },
        )
        .await;
        supervisor.leave(StopOrder::Second, GRACE).await;
        if !supervisor.leave(StopOrder::Last, GRACE).await {
            state.bus.lose(); // other gateways read the unpublished changes from the database
        }
        died.map_or(Ok(()), Err)
    }
}

fn router(state: AppState) -> Router {
    let routes = rest::router(&state)
        .merge(dashboard::router())
        .route(SOCKETS, any(session::opening::handshake::open).options(web::only_get));
    #[cfg(feature = "conformance")]
    let routes = routes.route("/echo", session::echo::route());
    web::layers(routes, &state).with_state(state)
}
