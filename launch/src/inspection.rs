//! An address of its own for `/metrics`, `/healthz` and `/readyz`, without tokens. It is for the
//! network of the operators, not for the public.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use clap::Args;
use galley_store::Store;
use galley_telemetry::{MeteredProgram, install, upkeep};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{debug, info, warn};

use crate::{Accepted, Failure, ListenAddress, Listener, Scrape};

/// The most connections at once; further ones are closed.
const MAX_CONNECTIONS: usize = 64;
/// The longest time for a request head, from the end of the answer before it. Prometheus keeps its
/// connection from scrape to scrape.
const HEAD: Duration = Duration::from_secs(90);
/// The pause after an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The time between two upkeeps of the recorder.
const UPKEEP: Duration = Duration::from_secs(5);
/// The longest wait of `/readyz` for the database.
const PATIENCE: Duration = Duration::from_secs(1);

/// The address of the metrics.
#[derive(Args, Clone, Debug)]
pub struct InspectionConfig {
    /// Address of `/metrics`, `/healthz` and `/readyz` without a token, as for `--listen`; none when
    /// absent
    #[arg(long, env = "GALLEY_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<ListenAddress>,
}

/// A bound address of the metrics; `None` serves nothing.
pub struct Inspection(Option<Listener>);

impl InspectionConfig {
    /// Binds the address, and installs the recorder of `program` if there is one.
    ///
    /// # Errors
    /// [`Failure`] if the address cannot be bound.
    pub fn bind(&self, program: MeteredProgram) -> Result<Inspection, Failure> {
        let Some(address) = &self.metrics_listen else { return Ok(Inspection(None)) };
        let listener =
            Listener::bind(address, "--metrics-listen", false).map_err(Failure::failed)?;
        install(program);
        info!(address = %listener, "serving metrics");
        Ok(Inspection(Some(listener)))
    }
}

impl Inspection {
    /// Serves on this listener; `None` serves nothing.
    #[must_use]
    pub const fn on(listener: Option<Listener>) -> Self {
        Self(listener)
    }

    /// Runs `work` and serves these routes until it ends.
    pub async fn beside<T>(self, routes: Router, work: impl Future<Output = T>) -> T {
        let Some(listener) = self.0 else { return work.await };
        tokio::select! {
            result = work => result,
            never = serve(listener, routes) => match never {},
        }
    }
}

/// Returns the routes of a program that listens on no other address. It is ready while its database
/// answers: a worker works without Redis too.
pub fn inspection_of(store: Arc<dyn Store>) -> Router {
    let scrape = Arc::new(Scrape::new(Arc::clone(&store)));
    let metrics = async move || scrape.answer().await;
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || Json(json!({"status": "alive"}))))
        .route("/readyz", get(ready))
        .with_state(store)
}

async fn ready(State(store): State<Arc<dyn Store>>) -> Response {
    let reason = match timeout(PATIENCE, store.ping()).await {
        Ok(Ok(())) => return Json(json!({"status": "ready"})).into_response(),
        Ok(Err(error)) => error.words(),
        Err(_) => "the database does not answer in time",
    };
    let report = Json(json!({"status": "unavailable", "detail": reason}));
    (StatusCode::SERVICE_UNAVAILABLE, report).into_response()
}

async fn serve(mut listener: Listener, routes: Router) -> Infallible {
    let mut connections = JoinSet::new();
    let mut ticks = interval(UPKEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let accepted = tokio::select! {
            _ = ticks.tick() => {
                upkeep();
                continue;
            }
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(_) if connections.len() >= MAX_CONNECTIONS => {
                debug!("closed a connection: too many ask for metrics at once");
            }
            Ok(accepted) => drop(connections.spawn(connection(accepted, routes.clone()))),
            Err(error) => {
                warn!(%error, "cannot accept connections for metrics");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(Accepted { stream, .. }: Accepted, routes: Router) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    if let Err(error) = served.await {
        debug!(%error, "a connection for metrics ended early");
    }
}
