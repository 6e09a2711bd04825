//! The bytes of answers that connections have not taken yet.
//!
//! A caller that asks and does not read gets no further answers. At the bound for all callers
//! together only those that hold such bytes are refused: nobody is refused for others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use dashmap::DashMap;
use galley_protocol::{Problem, Sentence};

use super::{CallerKey, too_much};

/// The most unread bytes of one caller, and of all.
const MOST_OF_ONE: usize = 8 * 1_024 * 1_024;
const MOST: usize = 64 * 1_024 * 1_024;

#[derive(Debug, Default)]
pub struct UnreadAnswers {
    of_one: DashMap<CallerKey, usize>,
    all: AtomicUsize,
}

/// The bytes of an answer, which count until they are dropped.
struct UnreadAnswer {
    bytes: Bytes,
    key: CallerKey,
    answers: Arc<UnreadAnswers>,
}

impl UnreadAnswers {
    /// # Errors
    /// `rate-limited` if the caller leaves too many answers unread.
    pub fn check(&self, key: CallerKey) -> Result<(), Problem> {
        let own = self.of_one.get(&key).map_or(0, |own| *own);
        if own == 0 || (own < MOST_OF_ONE && self.all.load(Ordering::Relaxed) < MOST) {
            return Ok(());
        }
        Err(too_much("unread-answers", Sentence::UnreadAnswers))
    }

    /// Counts these bytes until the connection has taken them.
    pub fn hold(self: &Arc<Self>, key: CallerKey, bytes: Bytes) -> Bytes {
        *self.of_one.entry(key).or_insert(0) += bytes.len();
        self.all.fetch_add(bytes.len(), Ordering::Relaxed);
        Bytes::from_owner(UnreadAnswer { bytes, key, answers: Arc::clone(self) })
    }
}

impl AsRef<[u8]> for UnreadAnswer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for UnreadAnswer {
    fn drop(&mut self) {
        let length = self.bytes.len();
        self.answers.all.fetch_sub(length, Ordering::Relaxed);
        self.answers.of_one.remove_if_mut(&self.key, |_, own| {
            *own -= length;
            *own == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use galley_protocol::HeroId;

    use super::{CallerKey, MOST, MOST_OF_ONE, UnreadAnswers};

    #[test]
    fn a_caller_is_refused_for_its_own_bytes_until_they_are_taken() {
        let answers = Arc::new(UnreadAnswers::default());
        let hero = |id| CallerKey::Hero(HeroId::new(id).expect("an id"));
        let half = || Bytes::from(vec![0; MOST_OF_ONE / 2]);
        let mut held: Vec<Bytes> = (1..=15).map(|id| answers.hold(hero(id), half())).collect();
        assert!(answers.check(hero(1)).is_ok());
        held.push(answers.hold(hero(1), half()));
        assert!(answers.check(hero(1)).is_err(), "it has as many as it may");
        assert!(held.iter().map(Bytes::len).sum::<usize>() == MOST);
        assert!(answers.check(hero(2)).is_err(), "all have as many as they may");
        assert!(answers.check(hero(16)).is_ok(), "it has none");
        held.clear();
        assert!(answers.check(hero(1)).is_ok());
        assert!(answers.of_one.is_empty());
    }
}
