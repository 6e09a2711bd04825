//! Gathers single requests into batches. While one commit is in flight the next batch fills: a
//! thousand callers wait for one commit, as one caller does. A second statement starts in parallel
//! only if many requests wait or have waited long: two small statements cost more than one, and
//! delay every caller.
//!
//! There is one batcher for each kind of request that a hero waits for. An accepted request is
//! answered exactly once, after its commit. The queue is bounded, and a full queue refuses a
//! request at once. If the database is unreachable, all waiting requests get that error at once,
//! because the next batch would fail as well. A panic in the work of a batch fails only that batch:
//! its callers are answered, the panic is logged and counted in `galley_panics_total`, and the
//! writer continues. A request that always panics therefore cannot end one gateway after another.
//! If a writer ends nevertheless, the process ends.

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use galley_fail_points::trip;
use galley_launch::{StopOrder, Supervisor};
use galley_protocol::TraceContext;
use galley_store::{MAX_BATCH, StoreError};
use galley_telemetry::{BatchSpans, SpanKind};
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Maximum number of requests that wait for a batch. Another one is refused.
const MAX_WAITING: usize = 8 * MAX_BATCH;
/// Number of waiting requests at which a second batch starts in parallel.
const MANY: usize = 32;
/// Longest wait for the batch in flight before a second one starts. The first may be waiting for
/// the disk or a lock.
const PATIENCE: Duration = Duration::from_millis(5);

/// The step of each recorded request in a batch, by its place there.
pub type BatchTraces = HashMap<usize, TraceContext>;

pub type PendingVerdict<A> = oneshot::Receiver<Result<A, StoreError>>;

#[derive(Debug)]
pub struct QueueFull;

#[derive(Clone, Copy, Debug)]
pub struct Writers {
    pub count: usize,
    /// Name of such a task in errors and in the log.
    pub part: &'static str,
    /// Name of a batch in errors and for fail points.
    pub batch: &'static str,
    /// Maximum number of requests of a batch.
    pub at_most: usize,
    /// True if a request is of no use once its caller has gone away: then it is not carried out.
    pub is_for_callers: bool,
}

/// Hands requests of one kind to their writers, in batches.
#[derive(Debug)]
pub struct Batcher<Q, A> {
    queue: mpsc::Sender<WaitingRequest<Q, A>>,
    counter: Arc<Counter<Q, A>>,
}

#[derive(Debug)]
struct WaitingRequest<Q, A> {
    request: Q,
    /// The span of the request, if its trace is recorded.
    trace: Option<Box<TraceContext>>,
    answer: oneshot::Sender<Result<A, StoreError>>,
}

impl<Q, A> Clone for Batcher<Q, A> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), counter: Arc::clone(&self.counter) }
    }
}

impl<Q: Send + 'static, A: Send + 'static> Batcher<Q, A> {
    /// Starts the writers. At a stop they write the waiting requests, accept no more, and end.
    /// `work` returns one answer for each request of a batch, in the same order. It also gets the
    /// steps that recorded requests make in it.
    pub fn start<F, W>(supervisor: &mut Supervisor, writers: Writers, work: W) -> Self
    where
        W: Fn(Vec<Q>, BatchTraces) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Vec<A>, StoreError>> + Send + 'static,
    {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        let counter = Arc::new(Counter {
            waiting: Mutex::new(waiting),
            under_way: AtomicUsize::new(0),
            look: Notify::new(),
        });
        for _ in 0..writers.count {
            supervisor.supervise(StopOrder::Last, writers.part, |stop| {
                write(Arc::clone(&counter), work.clone(), writers, stop)
            });
        }
        Self { queue, counter }
    }

    /// Puts a request into the next batch. [`QueueFull`] if [`MAX_WAITING`] wait already, or the
    /// writers stop: the request is not carried out then.
    pub fn submit(&self, request: Q) -> Result<PendingVerdict<A>, QueueFull> {
        self.submit_traced(request, None)
    }

    /// Like [`Batcher::submit`], for a request whose trace may be recorded.
    pub fn submit_traced(
        &self,
        request: Q,
        trace: Option<TraceContext>,
    ) -> Result<PendingVerdict<A>, QueueFull> {
        let (answer, receiver) = oneshot::channel();
        let trace = trace.map(Box::new);
        self.queue.try_send(WaitingRequest { request, trace, answer }).map_err(|_| QueueFull)?;
        // The writer that waits for the batch in flight already holds one request, hence - 1. It is
        // woken when many wait, not for each.
        if self.queue.max_capacity() - self.queue.capacity() >= MANY - 1 {
            self.counter.look.notify_one();
        }
        Ok(receiver)
    }
}

#[derive(Debug)]
struct Counter<Q, A> {
    /// Locked by the writer that forms the next batch.
    waiting: Mutex<mpsc::Receiver<WaitingRequest<Q, A>>>,
    /// Number of batches that are being written.
    under_way: AtomicUsize,
    /// Notified when one of them has ended or many requests wait.
    look: Notify,
}

/// Counts a batch as being written until this is dropped.
struct UnderWay<'a> {
    count: &'a AtomicUsize,
    look: &'a Notify,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.look.notify_one();
    }
}

impl<Q, A> Counter<Q, A> {
    /// Takes the next batch. Returns `None` once the queue is closed and empty.
    async fn take(
        &self,
        writers: Writers,
        stop: &CancellationToken,
    ) -> Option<(Vec<WaitingRequest<Q, A>>, UnderWay<'_>)> {
        let mut waiting = self.waiting.lock().await;
        let first = tokio::select! {
            biased;
            first = waiting.recv() => first,
            () = stop.cancelled() => {
                // Requests that were accepted before the stop are still written.
                waiting.close();
                waiting.recv().await
            }
        };
        let mut batch = vec![first?];
        let mut patience = pin!(sleep(PATIENCE));
        while waiting.len() < MANY - 1 && self.under_way.load(Ordering::Relaxed) > 0 {
            tokio::select! {
                () = self.look.notified() => {}
                () = &mut patience => break,
            }
        }
        let is_wanted = |waiting: &WaitingRequest<Q, A>| {
            !(writers.is_for_callers && waiting.answer.is_closed())
        };
        batch.retain(is_wanted);
        while batch.len() < writers.at_most
            && let Ok(next) = waiting.try_recv()
        {
            if is_wanted(&next) {
                batch.push(next);
            }
        }
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Some((batch, UnderWay { count: &self.under_way, look: &self.look }))
    }
}

async fn write<Q, A, F, W>(
    counter: Arc<Counter<Q, A>>,
    work: W,
    writers: Writers,
    stop: CancellationToken,
) where
    W: Fn(Vec<Q>, BatchTraces) -> F,
    F: Future<Output = Result<Vec<A>, StoreError>>,
{
    let name = writers.batch;
    while let Some((batch, under_way)) = counter.take(writers, &stop).await {
        if batch.is_empty() {
            continue;
        }
        let recorded = batch.iter().enumerate();
        let recorded = recorded.filter_map(|(at, waiting)| Some((at, **waiting.trace.as_ref()?)));
        let size = (batch.len(), SystemTime::now());
        let mut steps = BatchSpans::begin(name, &SpanKind::Internal, recorded, size);
        let traces = steps.contexts();
        let (requests, answers): (Vec<Q>, Vec<_>) =
            batch.into_iter().map(|waiting| (waiting.request, waiting.answer)).unzip();
        let working = async {
            trip(name);
            work(requests, traces).await
        };
        // Safe to unwind: `work` owns the requests, so a panic leaves no shared state half changed.
        let written = AssertUnwindSafe(working).catch_unwind().await;
        let written =
            written.unwrap_or_else(|_| Err(StoreError::Failed(format!("a {name} panicked"))));
        drop(under_way);
        if let Err(error) = &written {
            steps.fail(error.words());
        }
        drop(steps);
        match written {
            Ok(verdicts) => {
                for (answer, verdict) in answers.into_iter().zip(verdicts) {
                    // A caller that has gone away does not need its answer.
                    let _ = answer.send(Ok(verdict));
                }
            }
            Err(error) => {
                let mut answers = answers;
                // The next batch would probably fail as well. If another writer holds the queue, it
                // takes the waiting requests itself.
                if error.is_passing()
                    && let Ok(mut waiting) = counter.waiting.try_lock()
                {
                    while let Ok(next) = waiting.try_recv() {
                        answers.push(next.answer);
                    }
                }
                for answer in answers {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Batcher, MANY, MAX_WAITING, PATIENCE, PendingVerdict, QueueFull, Writers};
    use galley_launch::{StopOrder, Supervisor};
    use galley_store::{MAX_BATCH, StoreError};
    use std::ops::Range;
    use std::sync::{Arc, Mutex};
    use tokio::sync::Semaphore;
    use tokio::time::Instant;

    const fn writers(count: usize) -> Writers {
        Writers { count, part: "writer", batch: "batch", at_most: MAX_BATCH, is_for_callers: false }
    }

    /// Doubles numbers; each batch waits at the gate.
    struct Doubler {
        supervisor: Supervisor,
        batcher: Batcher<usize, usize>,
        gate: Arc<Semaphore>,
        /// The sizes of the batches that were begun.
        sizes: Arc<Mutex<Vec<usize>>>,
    }

    impl Doubler {
        fn start(count: usize) -> Self {
            Self::of(writers(count))
        }

        fn of(writers: Writers) -> Self {
            let (gate, sizes) = (Arc::new(Semaphore::new(0)), Arc::<Mutex<Vec<_>>>::default());
            let mut supervisor = Supervisor::default();
            let batcher = Batcher::start(&mut supervisor, writers, {
                let (gate, sizes) = (Arc::clone(&gate), Arc::clone(&sizes));
                move |batch: Vec<usize>, _| {
                    let (gate, sizes) = (Arc::clone(&gate), Arc::clone(&sizes));
                    async move {
                        sizes.lock().expect("no panic while locked").push(batch.len());
                        gate.acquire().await.expect("never closed").forget();
                        Ok(batch.into_iter().map(|number| number * 2).collect())
                    }
                }
            });
            Self { supervisor, batcher, gate, sizes }
        }

        fn submit(&self, numbers: Range<usize>) -> Vec<PendingVerdict<usize>> {
            numbers.map(|number| self.batcher.submit(number).expect("room")).collect()
        }

        fn sizes(&self) -> Vec<usize> {
            self.sizes.lock().expect("no panic while locked").clone()
        }

        /// Lets the tasks run without advancing the clock. Returns the sizes of the batches begun.
        async fn begun(&self) -> Vec<usize> {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            self.sizes()
        }
    }

    async fn doubled(numbers: Range<usize>, answers: Vec<PendingVerdict<usize>>) {
        for (number, answer) in numbers.zip(answers) {
            assert_eq!(answer.await.expect("an answer").expect("a verdict"), number * 2);
        }
    }

    #[tokio::test]
    async fn a_read_whose_caller_has_gone_is_not_carried_out() {
        let doubler = Doubler::of(Writers { at_most: 3, is_for_callers: true, ..writers(1) });
        let first = doubler.submit(1..2);
        assert_eq!(doubler.begun().await, [1]);
        drop(doubler.submit(2..9));
        let others = doubler.submit(9..14);
        doubler.gate.add_permits(9);
        doubled(1..2, first).await;
        doubled(9..14, others).await;
        assert_eq!(doubler.sizes(), [1, 3, 2]);
    }

    #[tokio::test]
    async fn while_one_batch_is_written_the_next_one_fills() {
        let doubler = Doubler::start(1);
        let first = doubler.submit(1..2);
        assert_eq!(doubler.begun().await, [1]);
        let rest = doubler.submit(2..700);
        doubler.gate.add_permits(3);
        doubled(1..2, first).await;
        doubled(2..700, rest).await;
        assert_eq!(doubler.sizes(), [1, MAX_BATCH, 698 - MAX_BATCH]);
    }

    #[tokio::test(start_paused = true)]
    async fn few_wait_for_the_batch_under_way_and_go_together() {
        let doubler = Doubler::start(2);
        let began = Instant::now();
        let first = doubler.submit(0..1);
        assert_eq!(doubler.begun().await, [1]);
        let second = doubler.submit(1..3);
        assert_eq!(doubler.begun().await, [1]);
        let third = doubler.submit(3..4);
        assert_eq!(doubler.begun().await, [1]);
        doubler.gate.add_permits(1);
        doubled(0..1, first).await;
        assert_eq!(doubler.begun().await, [1, 3]);
        assert_eq!(began.elapsed(), std::time::Duration::ZERO, "at once");
        doubler.gate.add_permits(1);
        doubled(1..4, second.into_iter().chain(third).collect()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn many_need_not_wait_for_the_batch_under_way() {
        let doubler = Doubler::start(2);
        let first = doubler.submit(0..1);
        assert_eq!(doubler.begun().await, [1]);
        let mut rest = doubler.submit(1..MANY);
        assert_eq!(doubler.begun().await, [1], "one is missing");
        rest.extend(doubler.submit(MANY..MANY + 1));
        assert_eq!(doubler.begun().await, [1, MANY]);
        doubler.gate.add_permits(2);
        doubled(0..1, first).await;
        doubled(1..MANY + 1, rest).await;
    }

    #[tokio::test(start_paused = true)]
    async fn few_do_not_wait_for_long() {
        let doubler = Doubler::start(2);
        let first = doubler.submit(0..1);
        assert_eq!(doubler.begun().await, [1]);
        let second = doubler.submit(1..2);
        assert_eq!(doubler.begun().await, [1]);
        tokio::time::sleep(PATIENCE).await;
        assert_eq!(doubler.begun().await, [1, 1], "although the first is still under way");
        doubler.gate.add_permits(2);
        doubled(0..1, first).await;
        doubled(1..2, second).await;
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_an_absent_database_answers_everyone() {
        let gate = Arc::new(Semaphore::new(0));
        let mut supervisor = Supervisor::default();
        let batcher = Batcher::start(&mut supervisor, writers(1), {
            let gate = Arc::clone(&gate);
            move |_: Vec<()>, _| {
                let gate = Arc::clone(&gate);
                async move {
                    gate.acquire().await.expect("never closed").forget();
                    Err::<Vec<()>, _>(StoreError::Unavailable("away".to_owned()))
                }
            }
        });
        let mut answers = Vec::new();
        let refused = loop {
            match batcher.submit(()) {
                Ok(answer) => answers.push(answer),
                Err(refused) => break refused,
            }
        };
        assert!(matches!(refused, QueueFull));
        assert!(answers.len() >= MAX_WAITING);
        gate.add_permits(1);
        for answer in answers {
            assert!(matches!(answer.await.expect("an answer"), Err(StoreError::Unavailable(_))));
        }
    }

    #[tokio::test]
    async fn a_batch_that_panics_fails_alone() {
        let mut supervisor = Supervisor::default();
        let batcher =
            Batcher::start(&mut supervisor, writers(1), async |numbers: Vec<usize>, _| {
                assert!(!numbers.contains(&7), "a panic on purpose");
                Ok(numbers)
            });
        let answer = async |number| batcher.submit(number).expect("room").await.expect("an answer");
        assert!(matches!(answer(7).await, Err(StoreError::Failed(_))));
        assert_eq!(answer(8).await.expect("a verdict"), 8);
    }

    #[tokio::test]
    async fn what_waits_is_written_before_the_writers_stop() {
        let mut doubler = Doubler::start(2);
        let answers = doubler.submit(0..700);
        doubler.gate.add_permits(3);
        doubler.supervisor.leave(StopOrder::Last, PATIENCE * 100).await;
        doubled(0..700, answers).await;
        assert!(doubler.batcher.submit(700).is_err(), "nobody would write it");
    }

    #[tokio::test]
    async fn a_writer_that_ends_is_missed() {
        let Doubler { mut supervisor, batcher, .. } = Doubler::start(1);
        drop(batcher);
        assert_eq!(
            supervisor.death().await.to_string(),
            "the writer ended, and nothing works without it"
        );
    }
}
