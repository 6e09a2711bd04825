//! The server processes behind the connections of the pool, and late statements.
//!
//! A commit may wait for a synchronous standby, or for a disk that hangs, for any time. No time-out
//! of the server ends that wait. It must not be cancelled either: others would then see a change
//! that the standby lacks. A connection with a late statement therefore keeps its slot in the pool
//! until the answer comes or its server process has ended. So Galley never has more server
//! processes than its pool has slots.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

/// The time that a commit may wait before all changes count as stalled.
const STALL: Duration = Duration::from_secs(2);
/// The least time between two suspicions, at which a read-only server's connections are given up.
const SUSPICION: Duration = Duration::from_secs(1);

/// Active transactions, each named by its server process and its start.
pub(super) type Transactions = BTreeSet<String>;

#[derive(Debug, Default)]
pub(super) struct ServerProcesses {
    state: Mutex<ProcessesState>,
    /// The number of running statements that nobody waits for; their outcomes are unknown.
    abandoned: AtomicI64,
}

#[derive(Debug, Default)]
struct ProcessesState {
    /// The server processes of the pool, including those that ended since the last census.
    pids: BTreeSet<i32>,
    /// Late statements, oldest first; at most one per slot of the pool.
    late: Vec<Late>,
    looked: Option<Instant>,
    /// The active transactions of this process at the last census.
    active: Transactions,
    /// The waiting commits of all processes at the last census, and since when each was seen.
    waiting: HashMap<String, Instant>,
    /// The last time that a connection met a read-only server.
    suspected: Option<Instant>,
}

#[derive(Debug)]
struct Late {
    since: Instant,
    /// Dropped to make the statement's task give up the connection.
    place: oneshot::Sender<()>,
}

/// The two ends of a statement; `StatementEnd::first` holds the one that was dropped first.
const CALLER: u8 = 1;
const TASK: u8 = 2;

/// One end of a statement, held by its caller or by its task. If the caller's end is dropped first,
/// the statement is abandoned until the task's end is dropped.
#[derive(Debug)]
pub(super) struct StatementEnd {
    is: u8,
    first: Arc<AtomicU8>,
    backends: Arc<ServerProcesses>,
}

impl Drop for StatementEnd {
    fn drop(&mut self) {
        match (self.is, self.first.swap(self.is, Ordering::AcqRel)) {
            (CALLER, 0) => {
                self.backends.abandoned.fetch_add(1, Ordering::AcqRel);
            }
            (TASK, CALLER) => {
                self.backends.abandoned.fetch_sub(1, Ordering::AcqRel);
            }
            _ => {}
        }
    }
}

#[derive(Debug)]
pub(super) struct Look {
    /// The server processes that the census asked about.
    pub(super) asked: BTreeSet<i32>,
    /// The processes of `asked` that exist.
    pub(super) present: BTreeSet<i32>,
    /// The active transactions of `asked`.
    pub(super) active: Transactions,
    /// The commits on this database that wait for a standby or a disk.
    pub(super) waiting: Transactions,
}

impl ServerProcesses {
    fn state(&self) -> MutexGuard<'_, ProcessesState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn meet(&self, pid: i32) {
        self.state().pids.insert(pid);
    }

    pub(super) fn pids(&self) -> BTreeSet<i32> {
        self.state().pids.clone()
    }

    /// Records a late statement. The channel closes when the statement must be given up.
    pub(super) fn late(&self) -> oneshot::Receiver<()> {
        let (place, end) = oneshot::channel();
        self.state().late.push(Late { since: Instant::now(), place });
        end
    }

    /// Records a census, and gives up late statements whose server processes have ended. Returns
    /// true if commits are stalled.
    ///
    /// A transaction in two successive censuses has been active between them. A statement that was
    /// late before the earlier one keeps its slot only while there is such a transaction for it.
    pub(super) fn note(&self, look: Look) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        state.pids.retain(|pid| look.present.contains(pid) || !look.asked.contains(pid));
        state.late.retain(|late| !late.place.is_closed());
        let at_work = look.active.intersection(&state.active).count();
        let known = state
            .late
            .iter()
            .filter(|late| state.looked.is_some_and(|looked| late.since < looked))
            .count();
        // Statements cannot be matched with transactions, so the oldest are given up.
        state.late.drain(..known.saturating_sub(at_work));
        // The server's time-out ends everything but a commit.
        let is_hanging = known.min(at_work) > 0;
        (state.looked, state.active) = (Some(now), look.active);
        let since = std::mem::take(&mut state.waiting);
        state.waiting = look
            .waiting
            .into_iter()
            .map(|commit| (commit.clone(), since.get(&commit).copied().unwrap_or(now)))
            .collect();
        is_hanging || state.waiting.values().any(|since| now - *since >= STALL)
    }

    /// Records that a connection met a read-only server. The server's name may lead to another
    /// server by now, but only new connections reach that one.
    pub(super) fn suspect(&self) {
        let now = Instant::now();
        let suspected = &mut self.state().suspected;
        if suspected.is_none_or(|time| now - time >= SUSPICION) {
            *suspected = Some(now);
        }
    }

    pub(super) fn is_suspect(&self, age: Duration) -> bool {
        self.state().suspected.is_some_and(|time| age > time.elapsed())
    }

    /// The ends of a new statement, for its caller and its task; each drops its own when done.
    pub(super) fn begin(self: &Arc<Self>) -> (StatementEnd, StatementEnd) {
        let first = Arc::<AtomicU8>::default();
        let end = |is| StatementEnd { is, first: Arc::clone(&first), backends: Arc::clone(self) };
        (end(CALLER), end(TASK))
    }

    pub(super) fn is_unsettled(&self) -> bool {
        self.abandoned.load(Ordering::Acquire) > 0
    }

    pub(super) fn give_up(&self) {
        self.state().late.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use tokio::sync::oneshot::error::TryRecvError;
    use tokio::time::advance;

    use super::{Look, STALL, ServerProcesses};

    fn look(active: &[&str], waiting: &[&str]) -> Look {
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Look {
            asked: BTreeSet::new(),
            present: BTreeSet::new(),
            active: set(active),
            waiting: set(waiting),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_statement_keeps_its_place_while_a_server_process_is_at_work() {
        let backends = ServerProcesses::default();
        backends.note(look(&["1", "2"], &[]));
        let (mut one, mut two) = (backends.late(), backends.late());
        for looks in 1..4 {
            advance(STALL).await;
            let is_stalled = backends.note(look(&["1", "2"], &[]));
            assert_eq!(is_stalled, looks > 1, "a commit that hangs stalls all changes");
            assert_eq!(
                (one.try_recv(), two.try_recv()),
                (Err(TryRecvError::Empty), Err(TryRecvError::Empty))
            );
        }
        advance(STALL).await;
        backends.note(look(&["2"], &[]));
        assert_eq!(
            (one.try_recv(), two.try_recv()),
            (Err(TryRecvError::Closed), Err(TryRecvError::Empty))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn commits_are_stalled_when_one_waits_for_long_not_when_many_wait_in_turn() {
        let backends = ServerProcesses::default();
        for commit in ["1", "2", "3", "4"] {
            assert!(!backends.note(look(&[], &[commit])));
            advance(STALL / 2).await;
        }
        assert!(!backends.note(look(&[], &["4"])));
        advance(STALL).await;
        assert!(backends.note(look(&[], &["4", "5"])));
        assert!(!backends.note(look(&[], &["5"])));
    }

    #[test]
    fn a_statement_that_nobody_waits_for_is_unsettled_until_it_ends() {
        let backends = Arc::<ServerProcesses>::default();
        let (caller, task) = backends.begin();
        drop(task);
        drop(caller);
        assert!(!backends.is_unsettled(), "it was answered");
        let (caller, task) = backends.begin();
        drop(caller);
        assert!(backends.is_unsettled());
        drop(task);
        assert!(!backends.is_unsettled());
    }

    #[tokio::test(start_paused = true)]
    async fn connections_from_before_a_suspicion_are_not_used_again() {
        let backends = ServerProcesses::default();
        advance(STALL).await;
        assert!(!backends.is_suspect(STALL));
        backends.suspect();
        advance(STALL / 4).await;
        backends.suspect();
        assert!(backends.is_suspect(STALL) && !backends.is_suspect(STALL / 8));
    }
}
