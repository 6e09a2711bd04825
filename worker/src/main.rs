//! The worker as a program: it processes orders. Start any number of instances.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};
use galley_launch::{
    BackendArguments, CheckConfig, Failure, HealthConfig, InspectionConfig, LogConfig,
    TraceArguments, WaitConfig,
};
use galley_telemetry::MeteredProgram;
use galley_worker::{Worker, WorkerConfig};
use tokio_util::sync::CancellationToken;

/// The worker of Galley: it claims orders, prepares them and completes them. Any number of
/// instances share a database and a Redis; the orders of one that dies are taken over by the
/// others.
#[derive(Parser)]
#[command(name = "galley-worker", version, after_help = EXAMPLES)]
struct WorkerCommandLine {
    #[command(flatten)]
    backends: BackendArguments,
    #[command(flatten)]
    worker: WorkerConfig,
    #[command(flatten)]
    health: HealthConfig,
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

Example:
  DATABASE_URL=postgres://galley@localhost/galley REDIS_URL=redis://localhost galley-worker";

/// mimalloc, because there are many small allocations, and glibc's allocator took a seventh of the
/// time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    galley_launch::install_tls_provider();
    let (arguments, matches) = galley_launch::parse_with_sources::<WorkerCommandLine>();
    if arguments.check.check {
        let BackendArguments { database_url, .. } = &arguments.backends;
        let command = WorkerCommandLine::command();
        let bus = arguments.backends.bus();
        let settings = arguments.traces.check();
        return galley_launch::check(
            &command,
            &matches,
            settings,
            database_url,
            &bus,
            async |_| {},
        );
    }
    let log = arguments.log.clone();
    let traces = arguments.traces.clone();
    galley_launch::run(&log, async |stop| {
        traces.around("galley-worker", work(arguments, stop)).await
    })
}

async fn work(arguments: WorkerCommandLine, stop: CancellationToken) -> Result<(), Failure> {
    let (store, bus) = arguments.backends.open(None, &arguments.wait.begin(&stop)).await?;
    let inspection = arguments.inspection.bind(MeteredProgram::Worker)?;
    let worker = Worker::new(arguments.worker, store.clone(), bus.clone());
    galley_launch::tell_ready("processing orders");
    let work = arguments.health.beside(store.as_ref(), worker.run(stop));
    let outcome = inspection.beside(galley_launch::inspection_of(store.clone()), work).await;
    galley_launch::leave(outcome, store.as_ref(), &bus).await
}
