//! Chooses the bus by its URL.

use std::sync::Arc;

use galley_protocol::{CursorKey, MessageKeys};

use crate::local::LocalBus;
use crate::redis::{self, RedisBus, RedisTlsFiles};
use crate::timing::Timing;
use crate::{BusConnectError, SharedBus};

/// The settings of a bus.
#[derive(Clone, Debug)]
pub struct BusConfig {
    /// The address of Redis in one of the forms of `docs/redis.md`. `None`: a bus within this
    /// process.
    pub url: Option<String>,
    /// The files for TLS to Redis.
    pub tls: RedisTlsFiles,
    /// The prefix of every key and channel in Redis. Processes that share it work together.
    pub namespace: String,
    /// The keys that sign messages in Redis, which all processes of a service share.
    pub keys: MessageKeys,
}

impl Default for BusConfig {
    /// A bus within this process. The keys are random: only clones of this configuration share
    /// them.
    fn default() -> Self {
        Self {
            url: None,
            tls: RedisTlsFiles::default(),
            namespace: "galley:v1".to_owned(),
            keys: MessageKeys::new(&CursorKey::new(0, &rand::random::<[u8; 32]>())),
        }
    }
}

impl BusConfig {
    /// Returns the address of the bus for logs, without user and password.
    ///
    /// # Errors
    /// [`BusConnectError::BadUrl`], [`BusConnectError::BadTls`]
    pub fn place(&self) -> Result<String, BusConnectError> {
        let Some(url) = &self.url else { return Ok("within this process".to_owned()) };
        redis::place(url, &self.tls)
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
        Some(url) => {
            let BusConfig { tls, namespace, keys, .. } = config;
            Ok(Arc::new(RedisBus::connect(url, tls, namespace, keys.clone(), timing).await?))
        }
    }
}
