//! The state that every handler gets.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use galley_bus::SharedBus;
use galley_launch::Scrape;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::{RevokedHeroes, SignInProvider, Verifier};
use crate::commands::Commands;
use crate::gateway_config::GatewayConfig;
use crate::http::entrance::Entrance;
use crate::http::host::AllowedHosts;
use crate::http::origin::Origins;
use crate::hub::Hub;
use crate::limits::{CallerLimits, Seats, WaitingSockets};
use crate::operations::Operations;
use crate::probes::Probes;
use crate::refusals::Refusals;
use crate::subscription_health::SubscriptionHealth;
use crate::totals_cache::TotalsCache;

/// A shared handle of the [`Parts`]. The router clones it several times per request, so there is
/// one reference count for all parts instead of one for each.
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

pub struct Parts {
    pub config: GatewayConfig,
    /// `None` without authentication.
    pub verifier: Option<Verifier>,
    /// Where the dashboard signs people in.
    pub provider: Option<Arc<SignInProvider>>,
    /// The heroes that were deleted, as far as this gateway knows.
    pub revoked: RevokedHeroes,
    pub origins: Origins,
    /// The names that it answers to.
    pub hosts: AllowedHosts,
    pub entrance: Arc<Entrance>,
    pub refusals: Refusals,
    /// The places of sockets that have not presented a token yet.
    pub unproven: Arc<WaitingSockets>,
    pub limits: CallerLimits,
    pub commands: Commands,
    /// The number of orders in each status, for the staff feed.
    pub totals: TotalsCache,
    pub bus: SharedBus,
    /// The answers of `/metrics`.
    pub scrape: Scrape,
    /// The last answers of the services that this gateway depends on.
    pub probes: Probes,
    pub hub: Hub,
    /// The free places for further sockets.
    pub seats: Arc<Seats>,
    pub readiness: Readiness,
    pub operations: Operations,
    pub sockets: TaskTracker,
}

#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    draining: AtomicBool,
    /// The end of the window within which sockets are closed; unset before the gateway leaves.
    window_ends: OnceLock<Instant>,
    leaving: CancellationToken,
    gone: AtomicBool,
    hearing: SubscriptionHealth,
}

impl Readiness {
    /// True once asked to stop: it still serves every request, but should get no new clients.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn hearing(&self) -> &SubscriptionHealth {
        &self.0.hearing
    }

    #[must_use]
    pub fn window(&self) -> Option<Duration> {
        self.0.window_ends.get().map(|end| end.saturating_duration_since(Instant::now()))
    }

    /// Returns true once all sockets are gone. The gateway then ends.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.gone.load(Ordering::Relaxed)
    }

    /// Waits until the gateway begins to close its sockets.
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
