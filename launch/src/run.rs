//! Runs a program from its first log line to its exit code.

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::log::Log;
use crate::service_manager::keep_alive;
use crate::signals::stop_on_signals;
use crate::{Failure, LogConfig, Supervisor};

/// The longest wait for unfinished blocking work at the end of the process.
const LAST_WORK: Duration = Duration::from_secs(2);

/// Starts logging, raises the limit of open files, and runs `body` until it ends. SIGTERM and
/// SIGINT cancel its token; a second signal ends the process at once. The result of `body` becomes
/// the exit code.
#[must_use]
pub fn run(
    log: &LogConfig,
    body: impl AsyncFnOnce(CancellationToken) -> Result<(), Failure>,
) -> ExitCode {
    match log.start() {
        Ok(log) => {
            let result = try_run(&log, body);
            log.end(result)
        }
        Err(failure) => Failure::report(Err(failure)),
    }
}

fn try_run(
    log: &Log,
    body: impl AsyncFnOnce(CancellationToken) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if let Some(point) = galley_fail_points::choose().map_err(Failure::Usage)? {
        warn!(point, "built with --features fail-points: {point} is chosen");
    }
    raise_open_files();
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format_args!("cannot start threads: {error}")))?;
    let mut supervisor = Supervisor::default();
    let result = runtime.block_on(async {
        let stop = stop_on_signals(&mut supervisor, log.queue())?;
        keep_alive(&mut supervisor);
        let body = AssertUnwindSafe(async { body(stop).await }).catch_unwind();
        tokio::select! {
            // The log has the panic itself. Nothing that it left half done is used after this.
            ended = body => {
                ended.unwrap_or_else(|_| Err(Failure::failed("the main task panicked")))
            }
            died = supervisor.death() => Err(Failure::failed(died)),
        }
    });
    runtime.shutdown_timeout(LAST_WORK);
    result
}

/// Raises the soft limit of open files, because every socket is one and the usual limit is 1,024. A
/// failure is only logged: a low limit is better than no start.
fn raise_open_files() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files) => debug!(files, "open files are limited to the hard limit"),
        Err(error) => warn!(%error, "cannot raise the limit of open files; few sockets will fit"),
    }
}
