//! SIGTERM and SIGINT.
//!
//! Called once by [`crate::run`], within the runtime. Guarantees that the first signal only asks – the token is cancelled,
//! and the program takes the time it needs – and that a second one ends the process at once. Must never wait for the program.

use std::process::exit;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::Failure;

/// The exit code after an impatient second signal: 128 + SIGINT, as shells count.
const IMPATIENT: i32 = 130;

/// A token that the first SIGTERM or SIGINT cancels; a second signal ends the process with exit code 130. The task that
/// listens lives as long as the runtime.
///
/// # Errors
/// [`Failure::Failed`] when the system lets nobody listen.
pub fn stop_on_signals() -> Result<CancellationToken, Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::failed(format_args!("cannot listen to signals: {error}")));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        let name = either(&mut terminate, &mut interrupt).await;
        info!(signal = name, "stopping; a second signal ends at once");
        token.cancel();
        let name = either(&mut terminate, &mut interrupt).await;
        warn!(signal = name, "ending at once");
        exit(IMPATIENT);
    });
    Ok(stop)
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
