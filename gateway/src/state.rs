//! What every handler is given.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use galley_bus::SharedBus;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::Verifier;
use crate::config::Config;
use crate::desk::Desk;
use crate::hearing::Hearing;
use crate::http::origin::Origins;
use crate::hub::Hub;
use crate::limits::Seats;
use crate::probes::Probes;
use crate::refusals::Refusals;
use crate::totals::Totals;

/// What every handler is given. The router clones it several times a request: one count, not one
/// for each part.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

impl From<Parts> for AppState {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for AppState {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The parts of the state.
pub struct Parts {
    /// The settings.
    pub config: Config,
    /// Who checks tokens; nobody where nobody is asked for one.
    pub verifier: Option<Verifier>,
    /// The origins whose pages may speak to this gateway.
    pub origins: Origins,
    /// Who was turned away.
    pub refusals: Refusals,
    /// The places of sockets that have not shown a token yet.
    pub unproven: Arc<Semaphore>,
    /// Where requests are handed in.
    pub desk: Desk,
    /// How many orders stand where, for the staff feed.
    pub totals: Totals,
    /// For its health.
    pub bus: SharedBus,
    /// The last answer of what this gateway depends on.
    pub probes: Probes,
    /// The connected sockets.
    pub hub: Hub,
    /// How many more there may be.
    pub seats: Arc<Seats>,
    /// Whether this gateway may take traffic.
    pub readiness: Readiness,
    /// The tasks of the sockets.
    pub sockets: TaskTracker,
}

/// Whether this gateway may take traffic.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    draining: AtomicBool,
    /// The end of the window within which sockets are sent away.
    window_ends: OnceLock<Instant>,
    leaving: CancellationToken,
    gone: AtomicBool,
    hearing: Hearing,
}

impl Readiness {
    /// The gateway was told to stop. It serves everything, and wants no new clients.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// How well the gateway hears updates.
    #[must_use]
    pub fn hearing(&self) -> &Hearing {
        &self.0.hearing
    }

    /// Returns what is left of the window within which sockets are sent away, once it has begun.
    #[must_use]
    pub fn window(&self) -> Option<Duration> {
        self.0.window_ends.get().map(|end| end.saturating_duration_since(Instant::now()))
    }

    /// All sockets have gone, and the gateway ends.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.gone.load(Ordering::Relaxed)
    }

    /// Waits until sockets are sent away.
    pub async fn leaving(&self) {
        self.0.leaving.cancelled().await;
    }

    pub(crate) fn set_draining(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn set_leaving(&self, window: Duration) {
        self.0.window_ends.get_or_init(|| Instant::now() + window);
        self.0.leaving.cancel();
    }

    pub(crate) fn set_gone(&self) {
        self.0.gone.store(true, Ordering::Relaxed);
    }
}
