//! The heroes that were deleted, whose tokens are refused.
//!
//! A token is checked without a read of the database. The set is held in memory: about ten bytes
//! for each hero that was ever deleted.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use galley_protocol::HeroId;

/// The deleted heroes that this gateway knows. Clones share the set.
#[derive(Clone, Debug, Default)]
pub struct RevokedHeroes(Arc<RwLock<HashSet<HeroId>>>);

impl RevokedHeroes {
    /// Returns true if this hero was deleted.
    #[must_use]
    pub fn contain(&self, id: HeroId) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    /// Adds heroes, and returns those that were not known yet.
    pub fn add(&self, gone: impl IntoIterator<Item = HeroId>) -> Vec<HeroId> {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        gone.into_iter().filter(|id| known.insert(*id)).collect()
    }

    /// Removes heroes. A restored database may have them again, or others with their ids.
    pub fn remove(&self, ids: impl IntoIterator<Item = HeroId>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        ids.into_iter().for_each(|id| _ = known.remove(&id));
    }

    /// Returns a copy of the set.
    #[must_use]
    pub fn all(&self) -> HashSet<HeroId> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
