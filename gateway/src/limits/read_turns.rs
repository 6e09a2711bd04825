//! The turns of callers at reading the database.
//!
//! Few reads of one caller run at once and the others of that caller wait, so that the reads of
//! other callers find free connections. A turn of a long read rests before the next read of the
//! caller has it, so that a caller with long reads leaves most of the processors and of the
//! database to others. A caller is in the map as long as it reads or rests.

use std::sync::Arc;

use dashmap::DashMap;
use galley_protocol::{Problem, Sentence};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, Instant, sleep};

use super::{CallerKey, UnreadAnswers, too_much};

/// Duration from which a read is long. A page of a list without filters takes a fifth of it.
const LONG: Duration = Duration::from_millis(5);
/// Rest of a turn, as a multiple of the duration of its read.
const REST: u32 = 2;
/// Maximum rest.
const MOST_REST: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct ReadTurns {
    at_once: usize,
    most: usize,
    lines: DashMap<CallerKey, ReadLine>,
    unread: Arc<UnreadAnswers>,
}

/// The reads of one caller.
#[derive(Debug)]
struct ReadLine {
    turns: Arc<Semaphore>,
    /// Number of reads that run or wait.
    reads: usize,
}

/// A turn. Dropping it gives it to the next read of the caller, after a long read when it has
/// rested.
#[derive(Debug)]
pub struct ReadTurn {
    place: Option<PlaceInLine>,
    /// Beginning of the read.
    began: Instant,
}

/// A read that runs or waits, or a turn that rests.
#[derive(Debug)]
struct PlaceInLine {
    turns: Arc<ReadTurns>,
    key: CallerKey,
    permit: Option<OwnedSemaphorePermit>,
}

impl ReadTurns {
    /// Lets `at_once` reads of a caller run at once, and holds at most `most`, with those that
    /// wait. A caller that leaves its answers unread gets no turn.
    #[must_use]
    pub fn new(at_once: usize, most: usize, unread: &Arc<UnreadAnswers>) -> Arc<Self> {
        let (at_once, unread) = (at_once.max(1), Arc::clone(unread));
        Arc::new(Self { at_once, most, lines: DashMap::new(), unread })
    }

    /// Waits for a turn of this caller.
    ///
    /// # Errors
    /// `rate-limited` if it has as many reads under way as it may, or too many answers unread.
    pub async fn take(self: &Arc<Self>, key: CallerKey) -> Result<ReadTurn, Problem> {
        let line = {
            let mut line = self.lines.entry(key).or_insert_with(|| ReadLine {
                turns: Arc::new(Semaphore::new(self.at_once)),
                reads: 0,
            });
            if line.reads >= self.most {
                return Err(too_much("reads", Sentence::TooManyReads));
            }
            line.reads += 1;
            Arc::clone(&line.turns)
        };
        // Made before the wait, so that a caller that leaves meanwhile is not counted any more.
        let mut place = PlaceInLine { turns: Arc::clone(self), key, permit: None };
        place.permit = Some(line.acquire_owned().await.expect("it is never closed"));
        self.unread.check(key)?;
        Ok(ReadTurn { place: Some(place), began: Instant::now() })
    }
}

impl Drop for ReadTurn {
    fn drop(&mut self) {
        let (place, took) = (self.place.take(), self.began.elapsed());
        if took < LONG {
            return;
        }
        // Without a runtime the program ends.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                sleep((took * REST).min(MOST_REST)).await;
                drop(place);
            });
        }
    }
}

impl Drop for PlaceInLine {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.turns.lines.remove_if_mut(&self.key, |_, line| {
            line.reads -= 1;
            line.reads == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use galley_protocol::HeroId;
    use tokio::time::{Duration, Instant, sleep, timeout};

    use super::{CallerKey, LONG, MOST_REST, REST, ReadTurns};

    fn hero(id: i64) -> CallerKey {
        CallerKey::Hero(HeroId::new(id).expect("an id"))
    }

    #[tokio::test(start_paused = true)]
    async fn further_reads_of_a_caller_wait_and_those_of_others_do_not() {
        let turns = ReadTurns::new(2, 3, &Arc::default());
        let soon = async |id| timeout(Duration::from_secs(1), turns.take(hero(id))).await;
        let first = soon(1).await.expect("free").expect("few");
        let _second = soon(1).await.expect("free").expect("few");
        soon(1).await.expect_err("two run");
        let waiting = turns.take(hero(1));
        let mut waiting = std::pin::pin!(waiting);
        assert!(timeout(Duration::from_secs(1), &mut waiting).await.is_err(), "it waits");
        let refused = soon(1).await.expect("refused at once").expect_err("three are under way");
        assert_eq!(refused.status, 429);
        drop(soon(2).await.expect("free").expect("few"));
        drop(first);
        waiting.await.expect("its turn, when the first has rested");
    }

    #[tokio::test(start_paused = true)]
    async fn the_turn_of_a_long_read_rests() {
        let turns = ReadTurns::new(1, 2, &Arc::default());
        let waited = async |read| {
            let turn = turns.take(hero(1)).await.expect("free");
            sleep(read).await;
            drop(turn);
            let ended = Instant::now();
            drop(turns.take(hero(1)).await.expect("free again"));
            ended.elapsed()
        };
        assert_eq!(waited(LONG / 2).await, Duration::ZERO);
        assert_eq!(waited(LONG * 4).await, LONG * 4 * REST);
        assert_eq!(waited(Duration::from_secs(9)).await, MOST_REST);
        assert!(turns.lines.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn callers_that_read_nothing_are_forgotten() {
        let turns = ReadTurns::new(1, 2, &Arc::default());
        let first = turns.take(hero(1)).await.expect("free");
        timeout(Duration::from_secs(1), turns.take(hero(1))).await.expect_err("it left its place");
        drop(first);
        sleep(MOST_REST * 2).await;
        assert!(turns.lines.is_empty());
    }
}
