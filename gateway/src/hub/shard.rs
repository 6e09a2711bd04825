//! A shard: up to [`MAX_SOCKETS`] sockets of one hero that are written to together.
//!
//! If a hero has one shard, the delivering task writes to it directly. If it has more, each shard
//! gets its own task while it has updates to write. The cores share the work, updates that arrive
//! gets its own task while it has updates to write. The cores share the work, updates that arrive
//! meanwhile join the next batch, and a socket never waits twice for all others. The task ends when
//! no update has arrived within a tick.
//!
//! [`writers`] leaves one core free, for the kernel, the clients on this machine and the other
//! tasks of the gateway. On two cores, two writers would only slow each other down.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use galley_protocol::ResumeCursor;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until};

use super::{Delivery, Notice, Outbox, TICK};
use crate::metrics;
use crate::versions::Flight;

/// The most sockets of a shard. Writing to all of them takes about half a millisecond, during which
/// the next shard waits.
const MAX_SOCKETS: usize = 64;
/// The most updates that wait for the task. Beyond it they are dropped, and the sockets read them
/// from the database.
const MAX_WAITING: usize = 4_096;

/// Some sockets of one hero that are written to together.
#[derive(Debug, Default)]
pub struct Shard(Mutex<ShardState>);

#[derive(Debug, Default)]
struct ShardState {
    outboxes: Vec<Arc<Outbox>>,
    /// The work of the task; `None` while there is no task.
    waiting: Option<Box<WaitingUpdates>>,
}

#[derive(Debug)]
struct WaitingUpdates {
    task: JoinHandle<()>,
    updates: Vec<Notice>,
    /// The deliveries to which these updates belong.
    flights: Vec<Arc<Flight>>,
    /// The updates that are missing after these, if any.
    gap: Option<ShardGap>,
}

struct TakenUpdates {
    updates: Vec<Notice>,
    flights: Vec<Arc<Flight>>,
    gap: Option<ShardGap>,
}

/// A range of missing updates. The earliest start is the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ShardGap {
    /// The cursor after which updates are missing; `None` for everything since the welcome of each
    /// socket.
    since: Option<ResumeCursor>,
}

/// Returns one permit for each shard that may be written to at the same time: the number of cores
/// minus one, but at least one.
pub fn writers() -> Arc<Semaphore> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Arc::new(Semaphore::new(cores.saturating_sub(1).max(1)))
}

impl Shard {
    /// Adds a socket. Returns false if the shard is full.
    pub fn add(&self, outbox: &Arc<Outbox>) -> bool {
        let outboxes = &mut self.lock().outboxes;
        let room = outboxes.len() < MAX_SOCKETS;
        if room {
            outboxes.push(Arc::clone(outbox));
        }
        room
    }

    pub fn remove(&self, outbox: &Arc<Outbox>) {
        let outboxes = &mut self.lock().outboxes;
        if let Some(index) = outboxes.iter().position(|other| Arc::ptr_eq(other, outbox)) {
            outboxes.swap_remove(index);
        }
    }

    pub fn outboxes(&self) -> Vec<Arc<Outbox>> {
        self.lock().outboxes.clone()
    }

    /// Returns the outboxes of its sockets; `None` while the task runs, because the updates that
    /// wait for it must be written first.
    pub fn idle_outboxes(&self) -> Option<Vec<Arc<Outbox>>> {
        let state = self.lock();
        state.waiting.is_none().then(|| state.outboxes.clone())
    }

    /// Queues these updates for the task of the shard, and starts it if necessary. Returns the
    /// number of sockets.
    pub fn push_later(
        self: &Arc<Self>,
        updates: &[Notice],
        flight: &Arc<Flight>,
        writers: &Arc<Semaphore>,
    ) -> usize {
        let mut state = self.lock();
        if state.outboxes.is_empty() {
            return 0;
        }
        let waiting = state
            .waiting
            .get_or_insert_with(|| Box::new(WaitingUpdates::begin(self, writers, None)));
        if waiting.task.is_finished() {
            // A task that ends normally sets `waiting` to `None`. This one has panicked or was
            // aborted, so it is unknown what it wrote: the sockets read everything.
            **waiting = WaitingUpdates::begin(self, writers, Some(ShardGap { since: None }));
        }
        waiting.add(updates, flight);
        state.outboxes.len()
    }

    /// Makes the sockets read the orders of these updates, which may be outdated. While updates
    /// wait for the task, the sockets instead read every change since the first of them: they must
    /// not receive a newer cursor before the updates that wait.
    pub fn miss(&self, updates: &[Notice]) {
        let mut state = self.lock();
        match &mut state.waiting {
            Some(waiting) => {
                let since =
                    waiting.updates.first().or(updates.first()).map(|update| update.mark.cursor);
                waiting.fall_behind(since);
            }
            None => state.outboxes.iter().for_each(|outbox| outbox.miss(updates)),
        }
    }

    /// Notes that updates may be missing since this cursor, or since the welcome of each socket.
    pub fn fall_behind(&self, since: Option<ResumeCursor>) {
        let mut state = self.lock();
        match &mut state.waiting {
            Some(waiting) => waiting.fall_behind(since),
            None => state.outboxes.iter().for_each(|outbox| outbox.fall_behind(since)),
        }
    }

    async fn push_waiting(self: Arc<Self>, writers: Arc<Semaphore>) {
        loop {
            let turn = writers.acquire().await.expect("nobody closes it");
            // Taken after the wait for the turn, so that the batch has all that arrived meanwhile.
            let Some(TakenUpdates { updates, flights, gap }) = self.take() else { return };
            let tick = Instant::now() + TICK;
            let outboxes = self.outboxes();
            push_to(&outboxes, &updates).await;
            // The updates are in all outboxes, so their deliveries have ended (see `Flight`).
            drop(flights);
            if let Some(gap) = gap {
                for outbox in &outboxes {
                    outbox.fall_behind(gap.since);
                }
            }
            drop(turn);
            sleep_until(tick).await;
        }
    }

    /// Takes the next batch. If nothing waits, the task counts as ended from now on.
    fn take(&self) -> Option<TakenUpdates> {
        let mut state = self.lock();
        let waiting = state.waiting.as_mut()?;
        let (updates, flights) =
            (std::mem::take(&mut waiting.updates), std::mem::take(&mut waiting.flights));
        let taken = TakenUpdates { updates, flights, gap: waiting.gap.take() };
        if taken.updates.is_empty() && taken.gap.is_none() {
            state.waiting = None;
            return None;
        }
        Some(taken)
    }

    fn lock(&self) -> MutexGuard<'_, ShardState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaitingUpdates {
    fn begin(shard: &Arc<Shard>, writers: &Arc<Semaphore>, gap: Option<ShardGap>) -> Self {
        let task = tokio::spawn(Arc::clone(shard).push_waiting(Arc::clone(writers)));
        Self { task, updates: Vec::new(), flights: Vec::new(), gap }
    }

    fn add(&mut self, updates: &[Notice], flight: &Arc<Flight>) {
        if self.gap.is_some() {
            return; // the sockets read these updates from the database, too
        }
        if self.updates.len() + updates.len() > MAX_WAITING {
            self.fall_behind(
                self.updates.first().or(updates.first()).map(|update| update.mark.cursor),
            );
            (self.updates, self.flights) = (Vec::new(), Vec::new());
            ::metrics::counter!(metrics::SHARDS_BEHIND).increment(1);
            return;
        }
        self.updates.extend(updates.iter().cloned());
        self.flights.push(Arc::clone(flight));
    }

    fn fall_behind(&mut self, since: Option<ResumeCursor>) {
        let gap = ShardGap { since };
        self.gap = Some(self.gap.map_or(gap, |before| before.min(gap)));
    }
}

/// Hands these updates to each outbox.
pub async fn push_to(outboxes: &[Arc<Outbox>], updates: &[Notice]) {
    for delivery in Delivery::all(updates) {
        let mut written = 0;
        for outbox in outboxes {
            written += usize::from(outbox.push(&delivery));
            // Yields after about a hundred writes, which take about a millisecond.
            consume_budget().await;
        }
        if written > 0 {
            metrics::count_frames(written * delivery.updates.len(), written * delivery.bytes());
            metrics::record_push_lag(delivery.updates[0].time);
        }
    }
}

#[cfg(test)]
mod tests {
    use galley_protocol::{Deleted, HeroId, OrderId, Timestamp, Update, Version};
    use galley_store::CursorKeys;

    use super::super::safe_cursor::SafeCursor;
    use super::super::{Missed, Out};
    use super::*;
    use crate::versions::{Source, Versions};

    /// Returns a deletion whose cursor has the id as its position.
    fn update(id: i64) -> Notice {
        let deleted =
            Deleted { order_id: OrderId::new(id).expect("an id"), version: Version::FIRST };
        let cursor = ResumeCursor { position: id, ..ResumeCursor::EXPIRED };
        let mark = Arc::new(SafeCursor::new(cursor, &CursorKeys::default()));
        Notice::new(&Update::of_deleted(deleted, HeroId::FIRST, Timestamp::EPOCH), &mark)
    }

    /// A shard of two sockets that have received their welcome.
    struct Crowded {
        shard: Arc<Shard>,
        outboxes: Vec<Arc<Outbox>>,
        writers: Arc<Semaphore>,
    }

    impl Crowded {
        fn new() -> Self {
            let shard = Arc::<Shard>::default();
            for _ in 0..2 {
                let outbox = Arc::new(Outbox::new(usize::MAX));
                outbox.know(update(1).mark.cursor);
                assert!(shard.add(&outbox));
            }
            Self { outboxes: shard.outboxes(), shard, writers: Arc::new(Semaphore::new(1)) }
        }

        fn push_later(&self, updates: &[Notice]) {
            let flight = Versions::default().judge(&[], Source::Bus).flight;
            assert_eq!(self.shard.push_later(updates, &flight, &self.writers), 2);
        }
    }

    fn drain(outbox: &Outbox) -> Vec<i64> {
        let out = std::iter::from_fn(|| outbox.try_next());
        out.map(|out| {
            if let Out::Frame(update) = out { update.order_id.get() } else { panic!("{out:?}") }
        })
        .collect()
    }

    /// Waits until the task has ended. Time is paused while any task can run.
    async fn ended(shard: &Shard) {
        while shard.idle_outboxes().is_none() {
            tokio::time::sleep(TICK).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_meanwhile_is_told_behind_it_after_a_tick() {
        let crowded = Crowded::new();
        let Crowded { shard, outboxes, .. } = &crowded;
        crowded.push_later(&[update(1)]);
        tokio::time::sleep(TICK / 2).await;
        assert_eq!(drain(&outboxes[0]), [1], "at once");
        (2..=99).for_each(|id| crowded.push_later(&[update(id)]));
        tokio::task::yield_now().await;
        assert!(drain(&outboxes[0]).is_empty());
        tokio::time::sleep(TICK).await;
        assert!(drain(&outboxes[0]).into_iter().eq(2..=99));
        ended(shard).await;
        assert!(drain(&outboxes[1]).into_iter().eq(1..=99));
    }

    #[tokio::test(start_paused = true)]
    async fn a_shard_is_told_in_its_turn_and_then_all_that_came_meanwhile() {
        let crowded = Crowded::new();
        let turn = crowded.writers.acquire().await.expect("nobody closes it");
        crowded.push_later(&[update(1)]);
        tokio::time::sleep(2 * TICK).await;
        crowded.push_later(&[update(2)]);
        tokio::time::sleep(2 * TICK).await;
        assert!(drain(&crowded.outboxes[0]).is_empty());
        drop(turn);
        tokio::time::sleep(TICK / 2).await;
        assert_eq!(drain(&crowded.outboxes[0]), [1, 2]);
        ended(&crowded.shard).await;
        assert_eq!(crowded.writers.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_bound_the_sockets_read_from_the_first_that_was_dropped() {
        let crowded = Crowded::new();
        let Crowded { shard, outboxes, .. } = &crowded;
        let updates: Vec<_> = (1..=4_096).map(update).collect();
        crowded.push_later(&updates);
        ended(shard).await;
        assert_eq!(drain(&outboxes[0]).len(), MAX_WAITING, "it holds so many");
        crowded.push_later(&updates[1..]);
        crowded.push_later(&[update(9_998), update(9_999)]);
        ended(shard).await;
        assert_eq!(
            outboxes[0].try_next(),
            Some(Out::Resync(Missed::Since(updates[1].mark.cursor)))
        );
        assert!(drain(&outboxes[0]).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_gap_is_told_behind_what_was_heard_before_it() {
        let crowded = Crowded::new();
        let Crowded { shard, outboxes, .. } = &crowded;
        crowded.push_later(&[update(2)]);
        shard.fall_behind(Some(update(3).mark.cursor));
        shard.fall_behind(Some(update(5).mark.cursor));
        crowded.push_later(&[update(4)]);
        tokio::time::sleep(TICK / 2).await;
        assert_eq!(
            outboxes[0].try_next(),
            Some(Out::Resync(Missed::Since(update(2).mark.cursor))),
            "it covers the updates that waited, too"
        );
        assert!(drain(&outboxes[0]).is_empty());
        shard.fall_behind(None);
        ended(shard).await;
        assert_eq!(
            outboxes[0].try_next(),
            Some(Out::Resync(Missed::Since(update(1).mark.cursor))),
            "from the welcome"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_fails_is_followed_by_another_and_its_sockets_read_from_their_welcome() {
        let crowded = Crowded::new();
        let Crowded { shard, outboxes, .. } = &crowded;
        crowded.push_later(&[update(5)]);
        if let Some(waiting) = &shard.lock().waiting {
            waiting.task.abort();
        }
        tokio::time::sleep(TICK).await;
        assert!(shard.idle_outboxes().is_none() && drain(&outboxes[0]).is_empty());
        crowded.push_later(&[update(6)]);
        ended(shard).await;
        assert_eq!(outboxes[0].try_next(), Some(Out::Resync(Missed::Since(update(1).mark.cursor))));
        crowded.push_later(&[update(7)]);
        ended(shard).await;
        assert_eq!(drain(&outboxes[0]), [7]);
    }
}
