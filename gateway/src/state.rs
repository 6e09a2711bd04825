//! What every handler is given.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use galley_bus::SharedBus;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::desk::Desk;
use crate::hub::Hub;
use crate::totals::Totals;

/// Handles, cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The settings.
    pub config: Arc<Config>,
    /// Where requests are handed in.
    pub desk: Desk,
    /// How many orders stand where, for the staff feed.
    pub totals: Totals,
    /// For its health.
    pub bus: SharedBus,
    /// The connected sockets.
    pub hub: Hub,
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
    deaf: AtomicBool,
}

impl Readiness {
    /// The gateway is about to leave.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// The gateway cannot hear updates.
    #[must_use]
    pub fn is_deaf(&self) -> bool {
        self.0.deaf.load(Ordering::Relaxed)
    }

    pub(crate) fn set_draining(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn set_deaf(&self, deaf: bool) {
        self.0.deaf.store(deaf, Ordering::Relaxed);
    }
}
