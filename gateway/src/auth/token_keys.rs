//! The keys that check tokens: secrets, and the public keys of an identity provider. Each kind can
//! be replaced while tokens are checked.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use galley_launch::{Secret, Secrets};
use jsonwebtoken::crypto::verify;
use jsonwebtoken::{Algorithm, DecodingKey};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use super::key_set::KeySet;
use super::key_set_source::KeySetSource;

/// Minimum time between two reads of the public keys for the sake of unknown keys: tokens of
/// strangers must not ask the provider more often.
pub const BETWEEN: Duration = Duration::from_secs(5);
/// The longest time that the check of a token waits for a read.
const PATIENCE: Duration = Duration::from_secs(2);

/// The keys.
pub struct TokenKeys {
    secrets: RwLock<Vec<DecodingKey>>,
    source: Option<KeySetSource>,
    set: RwLock<Arc<KeySet>>,
    /// The number of times that keys were replaced.
    generation: AtomicU64,
    /// Asks the reader to read now.
    asked: Notify,
    /// The last read of the public keys.
    last: watch::Sender<LastRead>,
}

/// The last read of the public keys.
#[derive(Clone, Copy, Debug, Default)]
struct LastRead {
    /// Its end.
    at: Option<Instant>,
    failed: bool,
}

/// The outcome of checking a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A key signed it.
    Right,
    /// No key signed it.
    Wrong,
    /// There is no such public key.
    Nothing,
}

impl TokenKeys {
    /// Keys without public ones until the first read of the source, if there is one.
    #[must_use]
    pub fn new(secrets: Option<&Secrets>, source: Option<KeySetSource>) -> Self {
        let secrets = secrets.map(keys).unwrap_or_default();
        Self {
            secrets: RwLock::new(secrets),
            source,
            set: RwLock::default(),
            generation: AtomicU64::new(0),
            asked: Notify::new(),
            last: watch::Sender::default(),
        }
    }

    /// Returns true if there are secrets.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        !self.secrets.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Returns true if there may be public keys.
    #[must_use]
    pub fn has_source(&self) -> bool {
        self.source.is_some()
    }

    /// Returns a number that grows whenever keys were replaced.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Checks further tokens with these secrets.
    pub fn replace_secrets(&self, secrets: &Secrets) {
        *self.secrets.write().unwrap_or_else(PoisonError::into_inner) = keys(secrets);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Reads the public keys again. If that fails the earlier ones stay in force. Returns their
    /// number.
    ///
    /// # Errors
    /// A message for people.
    pub async fn read(&self) -> Result<usize, String> {
        let Some(source) = &self.source else { return Ok(0) };
        let outcome = source.read().await.map(|set| {
            let count = set.len();
            *self.set.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
            self.generation.fetch_add(1, Ordering::Release);
            count
        });
        self.last.send_replace(LastRead { at: Some(Instant::now()), failed: outcome.is_err() });
        outcome
    }

    /// Waits until somebody asks for a read.
    pub async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Asks for a read because a key is unknown, and waits for it. Returns false if the keys may be
    /// out of date: the last read failed or takes too long.
    pub async fn refreshed(&self) -> bool {
        if self.source.is_none() {
            return true;
        }
        let mut reads = self.last.subscribe();
        let last = *reads.borrow_and_update();
        if last.at.is_some_and(|at| at.elapsed() < BETWEEN) {
            return !last.failed;
        }
        self.asked.notify_one();
        let read = timeout(PATIENCE, reads.changed()).await;
        read.is_ok_and(|changed| changed.is_ok()) && !reads.borrow().failed
    }

    /// Checks a signature.
    #[must_use]
    pub fn check(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
        signed: &str,
        signature: &str,
    ) -> Found {
        let is_right = |key: &DecodingKey| {
            verify(signature, signed.as_bytes(), key, algorithm).unwrap_or(false)
        };
        let found = if algorithm == Algorithm::HS256 {
            let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
            Some(secrets.iter().any(is_right))
        } else {
            let set = Arc::clone(&self.set.read().unwrap_or_else(PoisonError::into_inner));
            set.find(id, algorithm).map(is_right)
        };
        match found {
            Some(true) => Found::Right,
            None if self.source.is_some() => Found::Nothing,
            Some(false) | None => Found::Wrong,
        }
    }
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenKeys(…)")
    }
}

fn keys(secrets: &Secrets) -> Vec<DecodingKey> {
    let key = |secret: &Secret| DecodingKey::from_secret(secret.bytes()).expect("it is not empty");
    secrets.all().iter().map(key).collect()
}
