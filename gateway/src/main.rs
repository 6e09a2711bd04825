//! The gateway as a program: REST, WebSocket, SSE and the dashboard. Start any number of instances.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};
use galley_gateway::{Gateway, GatewayConfig};
use galley_launch::{
    BackendArguments, CheckConfig, Failure, InspectionConfig, LogConfig, TraceArguments, WaitConfig,
};
use galley_telemetry::MeteredProgram;
use tokio_util::sync::CancellationToken;

/// The gateway of Galley: REST, WebSocket, SSE and the dashboard. Any number of instances share a
/// database and a Redis.
#[derive(Parser)]
#[command(name = "galley-gateway", version, after_help = EXAMPLES)]
struct GatewayCommandLine {
    #[command(flatten)]
    backends: BackendArguments,
    #[command(flatten)]
    gateway: GatewayConfig,
    #[command(flatten)]
    inspection: InspectionConfig,
    #[command(flatten)]
    traces: TraceArguments,
    #[command(flatten)]
    wait: WaitConfig,
    #[command(flatten)]
    check: CheckConfig,
    #[command(flatten)]
    log: LogConfig,
}

const EXAMPLES: &str = "\
The schema must be there: `galley migrate` brings it.

Examples:
  DATABASE_URL=postgres://galley@localhost/galley REDIS_URL=redis://localhost galley-gateway
  galley-gateway --listen 127.0.0.1:0    # a free port, printed on standard output
  galley-gateway --listen unix:/run/galley/gateway.sock";

/// Many small allocations for each request: glibc's allocator took a seventh of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    galley_launch::install_tls_provider();
    let (arguments, matches) = galley_launch::parse_with_sources::<GatewayCommandLine>();
    if arguments.check.check {
        let settings = arguments.gateway.check().map_err(Failure::from);
        let settings = settings.and_then(|()| arguments.traces.check());
        let BackendArguments { database_url, .. } = &arguments.backends;
        let command = GatewayCommandLine::command();
        let bus = arguments.backends.bus();
        let gateway = &arguments.gateway;
        return galley_launch::check(
            &command,
            &matches,
            settings,
            database_url,
            &bus,
            async |report| gateway.try_keys(report).await,
        );
    }
    let log = arguments.log.clone();
    let traces = arguments.traces.clone();
    galley_launch::run(&log, async |stop| {
        Box::pin(traces.around("galley-gateway", serve(arguments, stop))).await
    })
}

async fn serve(arguments: GatewayCommandLine, stop: CancellationToken) -> Result<(), Failure> {
    arguments.gateway.check()?;
    let auth = arguments.gateway.auth.word();
    let (store, bus) = arguments.backends.open(Some(auth), &arguments.wait.begin(&stop)).await?;
    let inspection = arguments.inspection.bind(MeteredProgram::Gateway)?;
    let gateway = Gateway::bind(arguments.gateway, store.clone(), bus.clone())?;
    galley_launch::announce(&gateway.address());
    let served = inspection.beside(gateway.inspection(), gateway.run(stop)).await;
    galley_launch::leave(served, store.as_ref(), &bus).await
}
