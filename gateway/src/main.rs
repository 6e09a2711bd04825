//! The gateway as a program: REST, WebSocket, SSE and the dashboard. Start any number of instances.

use std::process::ExitCode;

use clap::Parser;
use galley_gateway::{Gateway, GatewayConfig};
use galley_launch::{BackendArguments, Failure, LogConfig, WaitConfig};
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
    wait: WaitConfig,
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
    let arguments: GatewayCommandLine = galley_launch::parse();
    let log = arguments.log.clone();
    galley_launch::run(&log, async |stop| serve(arguments, stop).await)
}

async fn serve(arguments: GatewayCommandLine, stop: CancellationToken) -> Result<(), Failure> {
    arguments.gateway.check()?;
    let auth = arguments.gateway.auth.word();
    let (store, bus) = arguments.backends.open(Some(auth), &arguments.wait.begin(&stop)).await?;
    let gateway = Gateway::bind(arguments.gateway, store.clone(), bus.clone())?;
    galley_launch::announce(&gateway.address());
    galley_launch::leave(gateway.run(stop).await, store.as_ref(), &bus).await
}
