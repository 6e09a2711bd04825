//! Chooses the bus by its URL.

use std::sync::Arc;

use crate::local::LocalBus;
use crate::redis::{self, RedisBus};
use crate::timing::Timing;
use crate::{BusConnectError, SharedBus};

/// The settings of a bus.
#[derive(Clone, Debug)]
pub struct BusConfig {
    /// `redis://…` or `rediss://…`, or several separated by commas for a Redis Cluster. `None`: a
    /// bus within this process.
    pub url: Option<String>,
    /// The prefix of every key and channel in Redis. Processes that share it work together.
    pub namespace: String,
}

impl Default for BusConfig {
    fn default() -> Self {
        Self { url: None, namespace: "galley:v1".to_owned() }
    }
}

impl BusConfig {
    /// Returns the address of the bus for logs, without user and password.
    ///
    /// # Errors
    /// [`BusConnectError::BadUrl`]
    pub fn place(&self) -> Result<String, BusConnectError> {
        self.url.as_deref().map_or_else(|| Ok("within this process".to_owned()), redis::place)
    }
}

/// Connects to the bus. From then on the bus reconnects by itself.
///
/// # Errors
/// [`BusConnectError`]
pub async fn connect(config: &BusConfig) -> Result<SharedBus, BusConnectError> {
    connect_with(config, Timing::default()).await
}

/// Like [`connect`] with other times, for tests.
///
/// # Errors
/// Like [`connect`].
#[doc(hidden)]
pub async fn connect_with(
    config: &BusConfig,
    timing: Timing,
) -> Result<SharedBus, BusConnectError> {
    match &config.url {
        None => Ok(Arc::new(LocalBus::default())),
        Some(url) => Ok(Arc::new(RedisBus::connect(url, &config.namespace, timing).await?)),
    }
}
