//! Gathers single requests into batches without a timer: while one commit is in flight the next batch fills, so that one
//! caller waits for one commit and a thousand callers wait for one commit too.
//!
//! Called by the desk, for every kind of request that a hero waits for. A request that was taken is answered, once, and
//! after its commit. The queue is bounded: when it is full a request is refused at once. When the database is away
//! everything that waits is answered so at once; nobody waits behind a batch that must fail as well.

use std::future::Future;
use std::sync::Arc;

use galley_store::{MAX_BATCH, StoreError};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::task::TaskTracker;

/// The most requests that wait for a batch; one more is refused.
const MAX_WAITING: usize = 8 * MAX_BATCH;

/// The answer to one request of a batch.
pub type Answer<A> = oneshot::Receiver<Result<A, StoreError>>;

/// The queue is full.
#[derive(Debug)]
pub struct Full;

/// Hands requests of one kind to its writers.
#[derive(Debug)]
pub struct Batcher<Q, A> {
    queue: mpsc::Sender<Waiting<Q, A>>,
}

#[derive(Debug)]
struct Waiting<Q, A> {
    request: Q,
    answer: oneshot::Sender<Result<A, StoreError>>,
}

impl<Q, A> Clone for Batcher<Q, A> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<Q: Send + 'static, A: Send + 'static> Batcher<Q, A> {
    /// Starts `writers` tasks, which end when the last clone of the batcher is gone. `work` answers each request of a batch,
    /// in the order of the requests.
    pub fn start<F, W>(tasks: &TaskTracker, writers: usize, work: W) -> Self
    where
        W: Fn(Vec<Q>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Vec<A>, StoreError>> + Send + 'static,
    {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..writers {
            tasks.spawn(write(Arc::clone(&waiting), work.clone()));
        }
        Self { queue }
    }

    /// Puts a request into the next batch.
    ///
    /// # Errors
    /// [`Full`] when [`MAX_WAITING`] requests wait already; nothing was done.
    pub fn submit(&self, request: Q) -> Result<Answer<A>, Full> {
        let (answer, receiver) = oneshot::channel();
        self.queue.try_send(Waiting { request, answer }).map_err(|_| Full)?;
        Ok(receiver)
    }
}

async fn write<Q, A, F, W>(waiting: Arc<Mutex<mpsc::Receiver<Waiting<Q, A>>>>, work: W)
where
    W: Fn(Vec<Q>) -> F,
    F: Future<Output = Result<Vec<A>, StoreError>>,
{
    let mut batch = Vec::new();
    loop {
        if waiting.lock().await.recv_many(&mut batch, MAX_BATCH).await == 0 {
            return;
        }
        let (requests, answers): (Vec<Q>, Vec<_>) = batch.drain(..).map(|waiting| (waiting.request, waiting.answer)).unzip();
        match work(requests).await {
            Ok(verdicts) => {
                for (answer, verdict) in answers.into_iter().zip(verdicts) {
                    // A caller that has gone away does not need its answer.
                    let _ = answer.send(Ok(verdict));
                }
            }
            Err(error) => {
                let mut answers = answers;
                // When another writer holds the queue it waits for requests: then none wait here.
                if matches!(error, StoreError::Unavailable(_))
                    && let Ok(mut waiting) = waiting.try_lock()
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
    use super::{Batcher, Full, MAX_WAITING};
    use galley_store::{MAX_BATCH, StoreError};
    use std::sync::{Arc, Mutex};
    use tokio::sync::Semaphore;
    use tokio_util::task::TaskTracker;

    #[tokio::test]
    async fn while_one_batch_is_written_the_next_one_fills() {
        let gate = Arc::new(Semaphore::new(0));
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let batcher = Batcher::start(&TaskTracker::new(), 1, {
            let (gate, sizes) = (Arc::clone(&gate), Arc::clone(&sizes));
            move |batch: Vec<usize>| {
                let (gate, sizes) = (Arc::clone(&gate), Arc::clone(&sizes));
                async move {
                    sizes.lock().expect("no panic while locked").push(batch.len());
                    gate.acquire().await.expect("never closed").forget();
                    Ok(batch.into_iter().map(|number| number * 2).collect())
                }
            }
        });
        let first = batcher.submit(1).expect("room");
        while sizes.lock().expect("no panic while locked").is_empty() {
            tokio::task::yield_now().await;
        }
        let rest: Vec<_> = (2..700).map(|number| batcher.submit(number).expect("room")).collect();
        gate.add_permits(3);
        assert_eq!(first.await.expect("an answer").expect("a verdict"), 2);
        for (number, answer) in (2..700).zip(rest) {
            assert_eq!(answer.await.expect("an answer").expect("a verdict"), number * 2);
        }
        assert_eq!(*sizes.lock().expect("no panic while locked"), [1, MAX_BATCH, 698 - MAX_BATCH]);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_an_absent_database_answers_everyone() {
        let gate = Arc::new(Semaphore::new(0));
        let batcher = Batcher::start(&TaskTracker::new(), 1, {
            let gate = Arc::clone(&gate);
            move |_: Vec<()>| {
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
        assert!(matches!(refused, Full));
        assert!(answers.len() >= MAX_WAITING);
        gate.add_permits(1);
        for answer in answers {
            assert!(matches!(answer.await.expect("an answer"), Err(StoreError::Unavailable(_))));
        }
    }
}
