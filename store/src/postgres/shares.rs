//! The connections of this process: one shows that it lives, the others are shared out between work
//! and reads. Reads that hang, however many, leave the connections of the work alone, and the work
//! those of the reads. Lists use all connections of the reads but one, so that sockets open beside
//! them. A process with little to do keeps one connection.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// The connections in use at once from which the process counts as busy.
const BUSY: usize = 2;
/// How long the process counts as busy after that, or after a connection was opened: one that is
/// closed too soon is opened again by the next statement.
const BUSY_FOR: Duration = Duration::from_secs(30);
/// The unused connections that a process keeps while it is not busy.
const KEPT: usize = 1;

#[derive(Clone, Copy, Debug)]
pub(super) enum Share {
    /// Statements that change rows, or that such a statement waits for.
    Work,
    /// Statements that read single rows, or what a socket needs that opens or catches up.
    Lookups,
    /// Statements that search many rows.
    Lists,
}

/// Holds one connection of a share until it is dropped.
#[derive(Debug)]
pub(super) struct SharePermit {
    _first: Option<OwnedSemaphorePermit>,
    _connection: OwnedSemaphorePermit,
}

#[derive(Debug)]
pub(super) struct Shares {
    work: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    /// The part of `reads` that lists may use. If there is one connection for all reads, one list
    /// at a time waits for it, and lookups wait for no other.
    lists: Arc<Semaphore>,
    connections: u32,
    /// The number of callers that wait.
    waiting: AtomicUsize,
    busy: Mutex<Option<Instant>>,
}

impl Shares {
    /// Shares out all connections of the process but the one that shows that it lives.
    pub(super) fn of(all: u32) -> Self {
        let connections = all.saturating_sub(1).max(2);
        let reads = connections / 2;
        let semaphore = |count: u32| Arc::new(Semaphore::new(count as usize));
        Self {
            work: semaphore(connections - reads),
            reads: semaphore(reads),
            lists: semaphore(reads.saturating_sub(1).max(1)),
            connections,
            waiting: AtomicUsize::default(),
            busy: Mutex::default(),
        }
    }

    pub(super) const fn connections(&self) -> u32 {
        self.connections
    }

    /// The number of connections for reads.
    pub(super) const fn reads(&self) -> usize {
        (self.connections / 2) as usize
    }

    /// Returns the connections that are taken, and the number of callers that wait for one.
    pub(super) fn load(&self) -> (usize, usize) {
        let free = self.work.available_permits() + self.reads.available_permits();
        (self.connections as usize - free, self.waiting.load(Ordering::Relaxed))
    }

    /// Waits for one connection of the share.
    pub(super) async fn take(&self, share: Share) -> SharePermit {
        let waiting = Waiting::begin(&self.waiting);
        let (semaphore, first) = match share {
            Share::Work => (&self.work, None),
            Share::Lookups => (&self.reads, None),
            Share::Lists => (&self.reads, Some(acquire(&self.lists).await)),
        };
        let taken = SharePermit { _first: first, _connection: acquire(semaphore).await };
        drop(waiting);
        if self.load().0 >= BUSY {
            self.note_busy();
        }
        taken
    }

    /// Notes that the process is busy: a connection was needed that was not there.
    pub(super) fn note_busy(&self) {
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Returns true if a connection should be closed rather than join so many unused ones.
    pub(super) fn has_too_many(&self, unused: usize) -> bool {
        unused >= KEPT
            && self
                .busy
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_none_or(|last| last.elapsed() >= BUSY_FOR)
    }
}

/// Counts a caller as long as it waits, even if it stops waiting.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(semaphore).acquire_owned().await.expect("it is never closed")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{advance, timeout};

    use super::{BUSY_FOR, KEPT, Share, Shares};

    #[tokio::test(start_paused = true)]
    async fn reads_leave_the_connections_of_the_work_alone() {
        for (all, work) in [(4, 2), (8, 4), (9, 4)] {
            let shares = Shares::of(all);
            let mut held = Vec::new();
            while let Ok(list) = timeout(Duration::from_secs(1), shares.take(Share::Lists)).await {
                held.push(list);
            }
            let all_reads = all as usize - 1 - work;
            assert_eq!(held.len(), (all_reads - 1).max(1), "lists leave a connection to lookups");
            while held.len() < all_reads {
                held.push(shares.take(Share::Lookups).await);
            }
            for _ in 0..work {
                held.push(shares.take(Share::Work).await);
            }
            assert_eq!(held.len(), all as usize - 1, "and one shows that the process lives");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn unused_connections_are_closed_once_the_process_is_not_busy() {
        let shares = Shares::of(8);
        assert!(shares.has_too_many(KEPT) && !shares.has_too_many(KEPT - 1));
        let _held = shares.take(Share::Work).await;
        assert!(shares.has_too_many(KEPT));
        drop(shares.take(Share::Lookups).await);
        assert!(!shares.has_too_many(7));
        advance(BUSY_FOR).await;
        assert!(shares.has_too_many(KEPT));
        shares.note_busy();
        assert!(!shares.has_too_many(KEPT), "one was opened a moment ago");
    }
}
