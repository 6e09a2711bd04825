//! Chooses the bus by its URL.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::SharedBus;
use crate::local::LocalBus;
use crate::redis::{self, RedisBus};

/// Which bus.
#[derive(Clone, Debug)]
pub struct BusConfig {
    /// `redis://…` or `rediss://…`, several with commas between them for a Redis Cluster; none: within this process.
    pub url: Option<String>,
    /// What every key and channel in Redis begins with. Processes that share it work together.
    pub namespace: String,
}

impl Default for BusConfig {
    fn default() -> Self {
        Self { url: None, namespace: "galley:v1".to_owned() }
    }
}

/// Why there is no bus. Never tells a password.
#[derive(Clone, Debug, Error)]
pub enum ConnectError {
    /// The URL is wrong; trying again will not help.
    #[error("not a Redis URL: {0}")]
    BadUrl(String),
    /// Redis answers, and will not let this process in until somebody changes something.
    #[error("{0}")]
    Refused(String),
    /// Redis does not answer, or not yet.
    #[error("{0}")]
    Unreachable(String),
}

impl BusConfig {
    /// Where the bus is, for people: without user and password.
    ///
    /// # Errors
    /// [`ConnectError::BadUrl`]
    pub fn place(&self) -> Result<String, ConnectError> {
        self.url.as_deref().map_or_else(|| Ok("within this process".to_owned()), redis::place)
    }
}

/// When entries that nobody settles come back; other than the default only in tests.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long an entry stays with a worker that neither settles it nor reads on.
    pub reclaim_after: Duration,
    /// How often each worker looks for such entries, and tidies up.
    pub upkeep_every: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { reclaim_after: Duration::from_secs(10), upkeep_every: Duration::from_secs(5) }
    }
}

/// Connects to the bus. It heals itself from then on.
///
/// # Errors
/// [`ConnectError`]
pub async fn connect(config: &BusConfig) -> Result<SharedBus, ConnectError> {
    connect_with(config, Timing::default()).await
}

/// The same with another timing, for tests.
///
/// # Errors
/// Like [`connect`].
#[doc(hidden)]
pub async fn connect_with(config: &BusConfig, timing: Timing) -> Result<SharedBus, ConnectError> {
    match &config.url {
        None => Ok(Arc::new(LocalBus::default())),
        Some(url) => Ok(Arc::new(RedisBus::connect(url, &config.namespace, timing).await?)),
    }
}
