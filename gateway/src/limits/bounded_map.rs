//! A map with one value for each of a bounded number of callers.
//!
//! It is divided into shards, so that requests seldom wait for each other. Values that are as good
//! as new are forgotten when a shard is full. While there are none of these, new callers share one
//! value.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Mutex, PoisonError};

const SHARDS: usize = 16;
/// Maximum number of callers in each shard.
const MAX_CALLERS: usize = 4_096;

/// A value that becomes as good as a new one when it is not used.
pub trait Forgettable: Default {
    /// The moment from which it is as good as new, on the clock of [`now`](super::rate::now).
    fn as_new_at(&self) -> u64;
}

#[derive(Debug)]
pub struct BoundedMap<K, V> {
    /// Hash that selects the shard of a caller, with a random key: clients cannot foresee it.
    sharding: RandomState,
    shards: [Mutex<MapShard<K, V>>; SHARDS],
}

#[derive(Debug)]
struct MapShard<K, V> {
    known: HashMap<K, V>,
    /// The value of new callers while the shard is full.
    shared: V,
    /// The moment before which nothing can be forgotten.
    full_until: u64,
}

impl<K, V: Forgettable> Default for BoundedMap<K, V> {
    fn default() -> Self {
        let shard = || MapShard { known: HashMap::new(), shared: V::default(), full_until: 0 };
        let shards = std::array::from_fn(|_| Mutex::new(shard()));
        Self { sharding: RandomState::new(), shards }
    }
}

impl<K: Copy + Eq + Hash, V: Forgettable> BoundedMap<K, V> {
    /// Calls `change` with the value of this caller.
    pub fn with<T>(&self, key: K, now: u64, change: impl FnOnce(&mut V) -> T) -> T {
        let shard = self.sharding.hash_one(key) % SHARDS as u64;
        let shard = &self.shards[usize::try_from(shard).expect("less than the number of shards")];
        change(shard.lock().unwrap_or_else(PoisonError::into_inner).value(key, now))
    }
}

impl<K: Copy + Eq + Hash, V: Forgettable> MapShard<K, V> {
    fn value(&mut self, key: K, now: u64) -> &mut V {
        let is_full = self.known.len() >= MAX_CALLERS
            && !self.known.contains_key(&key)
            && !self.make_room(now);
        if is_full { &mut self.shared } else { self.known.entry(key).or_default() }
    }

    /// Forgets what is as good as new. Returns true if there is room now.
    fn make_room(&mut self, now: u64) -> bool {
        if self.full_until <= now {
            self.known.retain(|_, value| value.as_new_at() > now);
            self.full_until = self.known.values().map(V::as_new_at).min().unwrap_or(now);
        }
        self.known.len() < MAX_CALLERS
    }
}

#[cfg(test)]
mod tests {
    use super::{BoundedMap, Forgettable, MAX_CALLERS, SHARDS};

    /// A number of uses, as good as new at a moment.
    #[derive(Default)]
    struct Uses(u32, u64);

    impl Forgettable for Uses {
        fn as_new_at(&self) -> u64 {
            self.1
        }
    }

    #[test]
    fn the_map_is_bounded_the_known_keep_their_own_and_the_idle_are_forgotten() {
        let map = BoundedMap::<usize, Uses>::default();
        let take = |key, now| {
            map.with(key, now, |uses| {
                *uses = Uses(uses.0 + 1, now + 10);
                uses.0
            })
        };
        let known = || map.shards.iter().map(|shard| shard.lock().expect("no panic").known.len());
        let most = 2 * SHARDS * MAX_CALLERS;
        let taken: Vec<u32> = (0..most).map(|key| take(key, 1)).collect();
        assert_eq!(known().sum::<usize>(), SHARDS * MAX_CALLERS);
        let shared = taken.iter().filter(|uses| **uses > 1).count();
        assert_eq!(shared, SHARDS * MAX_CALLERS - SHARDS, "newcomers share a value for each shard");
        assert_eq!(take(0, 2), 2, "who was known has its own");
        assert_eq!(take(most, 100), 1, "a newcomer has its own when the others are idle");
        assert!(known().any(|known| known == 1), "they were forgotten");
    }
}
