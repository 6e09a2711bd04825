//! The options of a client.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use galley_protocol::{BearerToken, HeroId};
use rustls::ClientConfig;

use crate::{KeptInMemory, PlacementKeeper, ReconnectPause};

/// The source of tokens. It is asked at each connection, and before the token of an open one
/// expires. An error is a message for people.
pub type TokenProvider =
    Arc<dyn Fn() -> BoxFuture<'static, Result<BearerToken, String>> + Send + Sync>;

/// The options of a client.
#[derive(Clone)]
pub struct ClientOptions {
    /// The address of the gateway: `https://example.org/galley`.
    pub url: String,
    /// Whose orders; without it those of the token's hero, or else the connection is staff's.
    pub hero: Option<HeroId>,
    /// The source of tokens, if the gateway asks for them.
    pub token: Option<TokenProvider>,
    /// TLS for `https://`; the default trusts the authorities of the system.
    pub tls: Option<Arc<ClientConfig>>,
    /// The place where placements wait for their answers.
    pub keeper: Arc<dyn PlacementKeeper>,
    /// The pauses between attempts.
    pub pause: ReconnectPause,
    /// The most commands that wait for their answers; the next one is refused.
    pub max_waiting: usize,
    /// The most ended orders in the picture; the oldest are forgotten.
    pub max_ended: usize,
    /// The largest frame of the gateway, in bytes; a larger one ends the connection.
    pub max_frame: usize,
    /// The most events that wait for a reader; beyond, it gets [`crate::ClientEvent::Behind`].
    pub max_events: usize,
}

impl ClientOptions {
    /// Returns the defaults for a gateway.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            hero: None,
            token: None,
            tls: None,
            keeper: Arc::new(KeptInMemory::default()),
            pause: ReconnectPause::default(),
            max_waiting: 100,
            max_ended: 10_000,
            max_frame: 16 << 20,
            max_events: 1_024,
        }
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClientOptions")
            .field("url", &self.url)
            .field("hero", &self.hero)
            .finish_non_exhaustive()
    }
}
