//! The last good token of an HTTP connection. A caller shows the same token with each request, so
//! its signature is checked once for all of them.

use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::Claims;

/// The last good token of a connection, or none.
#[derive(Clone, Debug, Default)]
pub struct RememberedToken(Arc<Mutex<Option<GoodToken>>>);

#[derive(Clone, Copy, Debug)]
struct GoodToken {
    digest: [u8; 32],
    /// The generation of the keys that checked it.
    generation: u64,
    claims: Claims,
}

impl RememberedToken {
    /// Returns the claims of this token if keys of this generation found it good.
    pub(super) fn claims(&self, token: &str, generation: u64) -> Option<Claims> {
        let good = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let is_same = good.generation == generation && good.digest == digest(token);
        is_same.then_some(good.claims)
    }

    /// Remembers a good token in place of the one before.
    pub(super) fn remember(&self, token: &str, generation: u64, claims: Claims) {
        let good = GoodToken { digest: digest(token), generation, claims };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(good);
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}
