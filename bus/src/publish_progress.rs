//! The published cursor of this process: everything that the process committed before it was
//! published, or left a hole.
//!
//! An operation that may commit a change holds a [`PendingOperation`] from before its statement
//! until the change was published. A mark is a cursor that the database has just returned. An
//! operation that begins after this answer commits nothing before the mark. A mark is therefore
//! published as soon as every operation that began before it has ended. No clock is compared.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use galley_protocol::{PublisherId, ResumeCursor};
use tokio::time::Instant;

/// The most marks that wait. Beyond it, a new mark replaces the newest waiting one: the cursor then
/// moves in longer steps.
const MAX_MARKS: usize = 64;

/// The time during which an operation of unknown outcome may still commit. A transaction that takes
/// longer holds the cursor of the database back, and this extends the time.
const DOUBT: Duration = Duration::from_mins(1);

/// The operations under way and the marks of this process. Batches and publications hold the
/// operations, and their bounds bound the number of operations.
#[derive(Clone, Debug, Default)]
pub(crate) struct PublishProgress(Arc<Mutex<ProgressState>>);

#[derive(Debug, Default)]
struct ProgressState {
    /// Logical time, advanced by each operation and each mark.
    clock: u64,
    /// The start of each operation under way.
    pending: BTreeSet<u64>,
    /// Not published yet, oldest first.
    marks: VecDeque<(u64, ResumeCursor)>,
    published: Option<ResumeCursor>,
    /// The position of the newest mark.
    newest: Option<i64>,
    /// The time until which an operation of unknown outcome may still commit.
    doubt: Option<Instant>,
}

/// An operation that may commit a change and publish it later. To drop it means that the change was
/// published or left a hole. If a panic drops it, its outcome is unknown.
#[must_use = "the operation ends when this is dropped"]
#[derive(Debug)]
pub struct PendingOperation {
    progress: PublishProgress,
    began: u64,
}

/// Returns a new random name for a process.
pub(crate) fn new_publisher() -> PublisherId {
    PublisherId::new(rand::random_range(1..=i32::MAX)).expect("every number of the range is one")
}

impl PublishProgress {
    pub(crate) fn begin(&self) -> PendingOperation {
        let mut state = self.lock();
        state.clock += 1;
        let began = state.clock;
        state.pending.insert(began);
        drop(state);
        PendingOperation { progress: self.clone(), began }
    }

    /// Takes a cursor that the database has just returned. Leaves a hole first if an operation of
    /// unknown outcome may have committed since the previous mark.
    pub(crate) fn mark(&self, safe: ResumeCursor, now: Instant, leave_hole: impl FnOnce()) {
        let mut state = self.lock();
        let moved = state.newest.replace(safe.position) != Some(safe.position);
        // The cursor never passes a transaction under way. If it has not moved, nothing new was
        // committed before it.
        if moved && state.doubt.is_some() {
            leave_hole();
            state.doubt = state.doubt.filter(|until| now < *until);
        }
        state.clock += 1;
        let mark = (state.clock, safe);
        if state.marks.len() >= MAX_MARKS {
            state.marks.pop_back();
        }
        state.marks.push_back(mark);
        state.settle();
    }

    /// Returns the newest mark before which everything was published.
    pub(crate) fn published(&self) -> Option<ResumeCursor> {
        self.lock().published
    }

    fn lock(&self) -> MutexGuard<'_, ProgressState> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }
}

impl ProgressState {
    /// Publishes the marks that precede every operation under way.
    fn settle(&mut self) {
        let oldest = self.pending.first().copied().unwrap_or(u64::MAX);
        while let Some((_, safe)) = self.marks.pop_front_if(|(time, _)| *time < oldest) {
            self.published = Some(safe);
        }
    }
}

impl PendingOperation {
    /// Ends the operation with an unknown outcome: it may have committed, or may still do so. For a
    /// minute, each mark that moves the cursor leaves a hole. If a transaction holds the cursor
    /// back for longer, the next mark that moves it leaves one, too.
    pub fn doubt(self) {
        self.progress.lock().doubt = Some(Instant::now() + DOUBT);
    }
}

impl Drop for PendingOperation {
    fn drop(&mut self) {
        let mut state = self.progress.lock();
        if std::thread::panicking() {
            state.doubt = Some(Instant::now() + DOUBT); // its statement may have committed
        }
        // Only the oldest operation holds marks back.
        let was_oldest = state.pending.first() == Some(&self.began);
        state.pending.remove(&self.began);
        if was_oldest {
            state.settle();
        }
    }
}

#[cfg(test)]
mod tests {
    use galley_protocol::ResumeCursor;
    use tokio::time::Instant;

    use super::{DOUBT, MAX_MARKS, PublishProgress};
    use crate::test_cursor::at;

    fn leaves_a_hole(progress: &PublishProgress, number: u64, now: Instant) -> bool {
        let mut left = false;
        progress.mark(at(number), now, || left = true);
        left
    }

    fn mark(progress: &PublishProgress, number: u64) -> Option<ResumeCursor> {
        assert!(!leaves_a_hole(progress, number, Instant::now()), "nothing is in doubt");
        progress.published()
    }

    #[test]
    fn a_mark_is_published_once_nothing_that_began_before_it_is_under_way() {
        let progress = PublishProgress::default();
        assert_eq!(progress.published(), None);
        assert_eq!(mark(&progress, 1), Some(at(1)));
        let long = progress.begin();
        assert_eq!(mark(&progress, 2), Some(at(1)), "the operation may commit before it");
        let short = progress.begin();
        assert_eq!(mark(&progress, 3), Some(at(1)));
        drop(short);
        assert_eq!(progress.published(), Some(at(1)));
        let late = progress.begin();
        drop(long);
        assert_eq!(progress.published(), Some(at(3)), "the other one began behind the mark");
        drop(late);
        assert_eq!(mark(&progress, 4), Some(at(4)));
    }

    #[test]
    fn an_operation_that_lasts_long_holds_the_cursor_back_and_no_more() {
        let progress = PublishProgress::default();
        mark(&progress, 1);
        let long = progress.begin();
        for number in 2..1_000 {
            assert_eq!(mark(&progress, number), Some(at(1)));
        }
        assert_eq!(progress.lock().marks.len(), MAX_MARKS);
        drop(long);
        assert_eq!(progress.published(), Some(at(999)), "the newest is kept at the bound");
    }

    #[test]
    fn an_operation_that_panics_is_one_of_unknown_outcome() {
        let progress = PublishProgress::default();
        mark(&progress, 1);
        let pending = progress.begin();
        let panicked = std::thread::spawn(move || {
            let _pending = pending;
            panic!("on purpose")
        });
        panicked.join().expect_err("it panicked");
        assert!(leaves_a_hole(&progress, 2, Instant::now()));
    }

    #[test]
    fn an_operation_of_unknown_outcome_leaves_a_hole_with_each_mark_that_moves() {
        let (progress, began) = (PublishProgress::default(), Instant::now());
        mark(&progress, 1);
        progress.begin().doubt();
        assert!(!leaves_a_hole(&progress, 1, began), "whatever was under way still is");
        assert!(leaves_a_hole(&progress, 2, began));
        assert!(
            !leaves_a_hole(&progress, 2, began + 2 * DOUBT),
            "a transaction holds it back for long"
        );
        assert!(leaves_a_hole(&progress, 3, began + 2 * DOUBT), "it may have been that one");
        assert!(!leaves_a_hole(&progress, 4, began + 2 * DOUBT));
        assert_eq!(progress.published(), Some(at(4)));
    }
}
