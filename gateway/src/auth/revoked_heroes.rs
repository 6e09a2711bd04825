//! The heroes whose tokens are refused: deleted ones, and the earlier tokens of those that signed
//! out.
//!
//! A token is checked without a read of the database. The heroes are held in memory: about ten bytes
//! for each that was ever deleted, and twenty for each that signed out within the longest life of a
//! token.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use galley_protocol::HeroId;
use galley_store::SignOut;

use super::TokenRejection;

/// The revocations that this gateway knows. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct RevokedHeroes(Arc<RwLock<Revocations>>);

#[derive(Debug, Default)]
struct Revocations {
    deleted: HashSet<HeroId>,
    /// The seconds of the last sign-outs.
    signed_out: HashMap<HeroId, u64>,
}

impl RevokedHeroes {
    /// Checks a token of this hero that was issued in this second. A token that does not say when
    /// counts as issued before any sign-out.
    ///
    /// # Errors
    /// The reason for refusing it.
    pub fn check(&self, id: HeroId, issued: Option<u64>) -> Result<(), TokenRejection> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if known.deleted.contains(&id) {
            return Err(TokenRejection::HeroGone);
        }
        match known.signed_out.get(&id) {
            Some(second) if issued.is_none_or(|issued| issued <= *second) => {
                Err(TokenRejection::SignedOut)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Adds deleted heroes, and returns those that were not known yet.
    pub fn add(&self, gone: impl IntoIterator<Item = HeroId>) -> Vec<HeroId> {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        gone.into_iter().filter(|id| known.deleted.insert(*id)).collect()
    }

    /// Removes deleted heroes. A restored database may have them again, or others with their ids.
    pub fn remove(&self, ids: impl IntoIterator<Item = HeroId>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        ids.into_iter().for_each(|id| _ = known.deleted.remove(&id));
    }

    /// Returns the deleted heroes.
    #[must_use]
    pub fn deleted(&self) -> HashSet<HeroId> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).deleted.clone()
    }

    /// Notes a sign-out. The latest one of a hero counts.
    pub fn sign_out(&self, SignOut { hero_id, second }: SignOut) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let last = known.signed_out.entry(hero_id).or_default();
        *last = second.max(*last);
    }

    /// Forgets the sign-outs before this second, whose tokens have ended.
    pub fn forget_before(&self, second: u64) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.signed_out.retain(|_, last| *last >= second);
    }
}
