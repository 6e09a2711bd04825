//! The signals that end a test early.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::load_failure::LoadFailure;

/// The signals that stop a test: SIGINT (Ctrl-C) and SIGTERM.
pub struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    pub fn listen() -> Result<Self, LoadFailure> {
        let listen = |kind| {
            signal(kind).map_err(|error| LoadFailure::failed("cannot receive signals", &error))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for a signal. Cancel-safe.
    pub async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
