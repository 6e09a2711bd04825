//! Placements that wait for their answers. One is kept before it is sent: so a program that is
//! killed in between finds its key again, and places nothing twice.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use galley_protocol::{IdempotencyKey, MealId};
use serde::{Deserialize, Serialize};

/// The most placements that are kept; beyond, the oldest is forgotten.
const MAX_KEPT: usize = 10_000;

/// A placement whose answer has not come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPlacement {
    /// Its idempotency key.
    pub key: IdempotencyKey,
    /// The meal.
    pub meal_id: MealId,
    /// When it was made, in seconds since 1970.
    pub at: u64,
}

/// A place for placements. Its methods are short.
pub trait PlacementKeeper: Send + Sync {
    /// Keeps a placement.
    fn keep(&self, placement: KeptPlacement);
    /// Forgets the placement with this key.
    fn forget(&self, key: &IdempotencyKey);
    /// Returns what is kept, the oldest first.
    fn all(&self) -> Vec<KeptPlacement>;
}

/// Placements that are kept as long as the program runs.
#[derive(Debug, Default)]
pub struct KeptInMemory(Mutex<Vec<KeptPlacement>>);

/// Placements in a file, of one hero and one program. A file that cannot be written is logged and
/// keeps nobody from ordering. It is not forced to the disk: a power cut may lose the last ones.
#[derive(Debug)]
pub struct KeptInFile {
    path: PathBuf,
    kept: KeptInMemory,
}

impl KeptPlacement {
    /// Creates a placement of this moment, with a key that nobody else has.
    pub(crate) fn new(meal_id: MealId) -> Self {
        let key = IdempotencyKey::accepted(format!("{:032x}", rand::random::<u128>()));
        Self { key, meal_id, at: now() }
    }

    /// Returns its age in seconds.
    pub(crate) fn age(&self) -> u64 {
        now().saturating_sub(self.at)
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl KeptInMemory {
    fn change<T>(&self, change: impl FnOnce(&mut Vec<KeptPlacement>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl PlacementKeeper for KeptInMemory {
    fn keep(&self, placement: KeptPlacement) {
        self.change(|kept| {
            kept.retain(|one| one.key != placement.key);
            kept.push(placement);
            if kept.len() > MAX_KEPT {
                kept.remove(0);
            }
        });
    }

    fn forget(&self, key: &IdempotencyKey) {
        self.change(|kept| kept.retain(|one| one.key != *key));
    }

    fn all(&self) -> Vec<KeptPlacement> {
        self.change(|kept| kept.clone())
    }
}

impl KeptInFile {
    /// Reads what an earlier life of the program kept.
    #[must_use]
    pub fn at(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_owned();
        let kept = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "the file holds no placements");
                Vec::new()
            }),
            // Most likely there is none yet; if it cannot be read, writing it says so.
            Err(_) => Vec::new(),
        };
        Self { path, kept: KeptInMemory(Mutex::new(kept)) }
    }

    /// Writes a new file in the place of the old one: so none is ever half written.
    fn write(&self) {
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        let text = serde_json::to_vec(&self.all()).unwrap_or_default();
        let written =
            std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, &self.path));
        if let Err(error) = written {
            tracing::warn!(path = %self.path.display(), %error, "cannot keep placements");
        }
    }
}

impl PlacementKeeper for KeptInFile {
    fn keep(&self, placement: KeptPlacement) {
        self.kept.keep(placement);
        self.write();
    }

    fn forget(&self, key: &IdempotencyKey) {
        self.kept.forget(key);
        self.write();
    }

    fn all(&self) -> Vec<KeptPlacement> {
        self.kept.all()
    }
}

#[cfg(test)]
mod tests {
    use galley_protocol::MealId;

    use super::{KeptInFile, KeptInMemory, KeptPlacement, MAX_KEPT, PlacementKeeper as _};

    fn placement() -> KeptPlacement {
        KeptPlacement::new(MealId::new(2).expect("an id"))
    }

    #[test]
    fn a_file_keeps_placements_for_the_next_life_of_the_program() {
        let path = std::env::temp_dir().join(format!("galley-kept-{}", std::process::id()));
        let (kept, answered) = (placement(), placement());
        let keeper = KeptInFile::at(&path);
        keeper.keep(kept.clone());
        keeper.keep(answered.clone());
        keeper.forget(&answered.key);
        assert_eq!(KeptInFile::at(&path).all(), [kept]);
        std::fs::write(&path, "rubbish").expect("written");
        assert_eq!(KeptInFile::at(&path).all(), []);
        std::fs::remove_file(&path).expect("removed");
    }

    #[test]
    fn the_oldest_placement_is_forgotten_at_the_bound() {
        let keeper = KeptInMemory::default();
        let first = placement();
        keeper.keep(first.clone());
        (0..MAX_KEPT).for_each(|_| keeper.keep(placement()));
        let all = keeper.all();
        assert_eq!((all.len(), all.contains(&first)), (MAX_KEPT, false));
    }
}
