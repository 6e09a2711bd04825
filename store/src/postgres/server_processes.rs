//! The processes of the server behind the connections of the pool, and statements that are late.
//!
//! A commit may wait for a synchronous standby, or for a disk that hangs, as long as it takes: no
//! time-out of the server ends that, and it must not be cancelled, for then others would see a
//! change that the standby does not have. So a connection whose statement is late keeps its place
//! in the pool until the answer comes or its server process is seen to have ended. A process of
//! ours thus never has more server processes than its pool has places.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgConnection;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long a commit waits for others before all changes count as stalled.
const STALL: Duration = Duration::from_secs(2);
/// How often all connections of a server that takes no changes are given up, at most.
const SUSPICION: Duration = Duration::from_secs(1);

/// The transactions at work at a moment, each by its server process and its start.
pub(super) type Transactions = BTreeSet<String>;

/// The server processes of this process, as far as is known.
#[derive(Debug, Default)]
pub(super) struct ServerProcesses {
    state: Mutex<ProcessesState>,
    /// How many statements run on that nobody waits for any more. What they change is yet to be
    /// seen.
    abandoned: AtomicI64,
}

#[derive(Debug, Default)]
struct ProcessesState {
    /// The server processes of the pool, and those that ended since the last look.
    pids: BTreeSet<i32>,
    /// Statements that are late, the oldest first: as many as the pool has places at most.
    late: Vec<Late>,
    looked: Option<Instant>,
    /// The transactions of this process that were at work at the last look.
    active: Transactions,
    /// The commits that were waiting at the last look, whoever's, and since when.
    waiting: HashMap<String, Instant>,
    /// When a connection met a server that takes no changes.
    suspected: Option<Instant>,
}

#[derive(Debug)]
struct Late {
    since: Instant,
    /// Dropped to give it up.
    place: oneshot::Sender<()>,
}

/// The end that was dropped first.
const CALLER: u8 = 1;
const TASK: u8 = 2;

/// One of the two ends of a statement.
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

/// The result of a look at the server.
#[derive(Debug)]
pub(super) struct Look {
    /// The server processes that were asked for.
    pub(super) asked: BTreeSet<i32>,
    /// The processes among them that exist.
    pub(super) present: BTreeSet<i32>,
    /// The transactions of those that are at work.
    pub(super) active: Transactions,
    /// The commits on this database that wait for a standby, or for a disk.
    pub(super) waiting: Transactions,
}

impl ServerProcesses {
    fn state(&self) -> MutexGuard<'_, ProcessesState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a new connection of the pool.
    pub(super) async fn meet(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let pid = sqlx::query_scalar("/* backend */ select pg_backend_pid()")
            .fetch_one(connection)
            .await?;
        self.state().pids.insert(pid);
        Ok(())
    }

    pub(super) fn pids(&self) -> BTreeSet<i32> {
        self.state().pids.clone()
    }

    /// Takes note of a statement that is late. The channel ends when it must be given up.
    pub(super) fn late(&self) -> oneshot::Receiver<()> {
        let (place, end) = oneshot::channel();
        self.state().late.push(Late { since: Instant::now(), place });
        end
    }

    /// Takes note of a look at the server, and gives up late statements whose server processes have
    /// ended. Returns whether commits are stalled.
    ///
    /// A statement that was late before the look ahead of this one has been at work at both if it
    /// still is.
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
        state.late.drain(..known.saturating_sub(at_work));
        // All but a commit is ended by the server's time-out.
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

    /// Says that a connection met a server that takes no changes: perhaps another one does by now,
    /// to which only a new connection leads.
    pub(super) fn suspect(&self) {
        let now = Instant::now();
        let suspected = &mut self.state().suspected;
        if suspected.is_none_or(|time| now - time >= SUSPICION) {
            *suspected = Some(now);
        }
    }

    /// Returns true if a connection of this age is from before the last suspicion.
    pub(super) fn is_suspect(&self, age: Duration) -> bool {
        self.state().suspected.is_some_and(|time| age > time.elapsed())
    }

    /// The two ends of a statement that begins: that of its caller, and that of its task. Each is
    /// dropped when it is done.
    pub(super) fn begin(self: &Arc<Self>) -> (StatementEnd, StatementEnd) {
        let first = Arc::<AtomicU8>::default();
        let end = |is| StatementEnd { is, first: Arc::clone(&first), backends: Arc::clone(self) };
        (end(CALLER), end(TASK))
    }

    /// Returns true while a statement runs on that nobody waits for.
    pub(super) fn is_unsettled(&self) -> bool {
        self.abandoned.load(Ordering::Acquire) > 0
    }

    /// Gives up all late statements.
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
            assert_eq!(is_stalled, looks > 1, "commits hang, whatever for");
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
