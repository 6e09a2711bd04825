//! Serves everything in one process: the gateway, the worker, and by default an embedded database
//! and an in-process bus.
//!
//! Called by `main` when no command is given. Migrates the schema of an embedded database itself,
//! since no other process uses it; any other database is shared, and gets its schema only from
//! `galley migrate`. Seeds only an empty embedded database.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use galley_bus::BusConfig;
use galley_gateway::Gateway;
use galley_launch::{
    CheckConfig, DatabaseConnections, Failure, InspectionConfig, LogConfig, Namespace, Patience,
    RedisTlsArguments, TraceArguments, WaitConfig, migrate, open_bus, open_store, schema,
    tell_start,
};
use galley_store::Store;
use galley_telemetry::MeteredProgram;
use galley_worker::Worker;
use tokio_util::sync::CancellationToken;

use crate::demo;

/// How to serve.
#[derive(Args)]
#[command(next_help_heading = "Options for serving")]
pub struct ServeArguments {
    /// The database: `sqlite://PATH`, held by this process alone, or
    /// `postgres://USER:PASSWORD@HOST/NAME`
    #[arg(
        long,
        env = "DATABASE_URL",
        value_name = "URL",
        default_value = "sqlite://.galley/galley.db",
        hide_env_values = true
    )]
    pub database_url: String,
    /// The bus: `redis://…`, `rediss://…` with TLS, `redis+unix:///PATH` or
    /// `redis+sentinel://HOST,HOST/SERVICE`; several comma-separated nodes are a Redis Cluster;
    /// none: within this process
    #[arg(long, env = "REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub redis_url: Option<String>,
    #[command(flatten)]
    pub redis_tls: RedisTlsArguments,
    #[command(flatten)]
    pub connections: DatabaseConnections,
    #[command(flatten)]
    pub namespace: Namespace,
    /// Leave an empty embedded database empty: no demo menu, no heroes
    #[arg(long)]
    pub no_seed: bool,
    #[command(flatten)]
    pub gateway: galley_gateway::GatewayConfig,
    #[command(flatten)]
    pub worker: galley_worker::WorkerConfig,
    #[command(flatten)]
    pub inspection: InspectionConfig,
    #[command(flatten)]
    pub traces: TraceArguments,
    #[command(flatten)]
    pub check: CheckConfig,
    #[command(flatten)]
    pub wait: WaitConfig,
    #[command(flatten)]
    pub log: LogConfig,
}

/// Serves until a signal.
pub fn run(arguments: ServeArguments) -> ExitCode {
    let log = arguments.log.clone();
    let traces = arguments.traces.clone();
    galley_launch::run(&log, async |stop| {
        Box::pin(traces.around("galley", serve(arguments, stop))).await
    })
}

async fn serve(arguments: ServeArguments, stop: CancellationToken) -> Result<(), Failure> {
    arguments.gateway.check()?;
    let bus = BusConfig {
        url: arguments.redis_url.clone(),
        tls: arguments.redis_tls.clone().into(),
        namespace: arguments.namespace.namespace.clone(),
        ..BusConfig::default()
    };
    tell_start(&arguments.database_url, &bus, Some(arguments.gateway.auth.word()))?;
    let patience = arguments.wait.begin(&stop);
    let connections = arguments.connections.database_connections;
    let store = open_store(&arguments.database_url, connections, &patience).await?;
    let served = serve_from(Arc::clone(&store), arguments, &bus, &patience, stop).await;
    // Closed after every end, so that the file is left whole.
    galley_launch::close_store(store.as_ref()).await;
    served
}

async fn serve_from(
    store: Arc<dyn Store>,
    arguments: ServeArguments,
    bus: &BusConfig,
    patience: &Patience,
    stop: CancellationToken,
) -> Result<(), Failure> {
    if arguments.database_url.starts_with("sqlite:") {
        migrate(store.as_ref(), patience).await?;
        if !arguments.no_seed {
            demo::seed(store.as_ref()).await.map_err(Failure::failed)?;
        }
        // After this even a copy of the file alone contains the tables and the menu, so such a copy
        // is never seeded again. The store logs a failure, which must not prevent serving.
        let _ = store.checkpoint().await;
    } else {
        schema(store.as_ref(), patience).await?;
    }
    let bus = open_bus(bus, store.as_ref(), patience).await?;
    let inspection = arguments.inspection.bind(MeteredProgram::Both)?;
    galley_telemetry::install(MeteredProgram::Both);
    let gateway = Gateway::bind(arguments.gateway, store.clone(), bus.clone())?;
    let worker = Worker::new(arguments.worker, store, bus.clone());
    galley_launch::announce(&gateway.address());
    // The worker runs as long as the gateway serves. When one dies, the other stops too, because
    // neither serves without the other.
    let served = CancellationToken::new();
    let work = async {
        let _end = stop.clone().drop_guard();
        worker.run(served.clone()).await
    };
    let routes = gateway.inspection();
    let serve = async {
        let _end = served.clone().drop_guard();
        gateway.run(stop.clone()).await
    };
    let (serving, working) = inspection.beside(routes, async { tokio::join!(serve, work) }).await;
    serving.map_err(Failure::failed)?;
    working.map_err(Failure::failed)?;
    galley_launch::leave_bus(&bus).await;
    Ok(())
}
