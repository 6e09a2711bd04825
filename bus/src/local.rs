//! The bus within one process, for the embedded program and for tests.
//!
//! The same promises as Redis without the bytes: entries go to one reader each and come back when a reader is dropped before it
//! settled them, updates reach every subscription in order. Nothing here waits for anybody: at its bound the queue drops the
//! newest entry (the worker's sweep finds the order in the database), a subscription drops and tells a gap.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use async_trait::async_trait;
use galley_fail_points::{FailPoint, reach};
use galley_protocol::{IncarnationId, OrderId, Update, UpdateBatch};
use tokio::sync::Notify;

use crate::inbox::{Inbox, Taken};
use crate::{Bus, BusError, Entry, Heard, Queue, Subscription};

/// The most entries that wait, and the most that one reader holds unsettled. Beyond, new ones are dropped.
const QUEUE_BOUND: usize = 100_000;

/// How long a reader waits for entries.
const PATIENCE: Duration = Duration::from_secs(1);

/// The bus within one process.
#[derive(Default)]
pub(crate) struct LocalBus {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<VecDeque<OrderId>>,
    filled: Notify,
    listeners: Mutex<Listeners>,
}

#[derive(Default)]
struct Listeners {
    published: u64,
    inboxes: Vec<Weak<Inbox<UpdateBatch>>>,
}

impl Shared {
    fn enqueue(&self, orders: impl IntoIterator<Item = OrderId>) {
        let mut waiting = self.waiting();
        for order in orders {
            if waiting.len() < QUEUE_BOUND {
                waiting.push_back(order);
            } else {
                metrics::counter!("galley_queue_dropped_total").increment(1);
            }
        }
        if !waiting.is_empty() {
            self.filled.notify_one();
        }
    }

    fn publish(&self, updates: &[Update]) {
        if updates.is_empty() {
            return;
        }
        let bytes = updates.iter().map(|update| update.frame.len() + size_of::<Update>()).sum();
        let mut listeners = self.listeners();
        listeners.published += 1;
        let batch = UpdateBatch { publisher: 0, number: listeners.published, updates: updates.to_vec() };
        listeners.inboxes.retain(|inbox| inbox.upgrade().map(|inbox| inbox.put(bytes, batch.clone())).is_some());
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<OrderId>> {
        self.waiting.lock().expect("nothing panics while it holds this lock")
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().expect("nothing panics while it holds this lock")
    }
}

#[async_trait]
impl Bus for LocalBus {
    async fn announce(&self, updates: &[Update], orders: &[OrderId]) -> Result<(), BusError> {
        self.shared.publish(updates);
        self.shared.enqueue(orders.iter().copied());
        Ok(())
    }

    async fn queue(&self, _consumer: IncarnationId) -> Result<Box<dyn Queue>, BusError> {
        Ok(Box::new(LocalQueue { shared: Arc::clone(&self.shared), taken: BTreeMap::new(), next_token: 0 }))
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, BusError> {
        let inbox = Arc::new(Inbox::default());
        self.shared.listeners().inboxes.push(Arc::downgrade(&inbox));
        Ok(Box::new(LocalSubscription { inbox }))
    }

    fn lose(&self) {
        for inbox in &self.shared.listeners().inboxes {
            if let Some(inbox) = inbox.upgrade() {
                inbox.gap();
            }
        }
    }

    async fn ping(&self) -> Result<(), BusError> {
        Ok(())
    }
}

/// A reader of the queue, with what it has not settled yet.
struct LocalQueue {
    shared: Arc<Shared>,
    taken: BTreeMap<u64, OrderId>,
    next_token: u64,
}

impl LocalQueue {
    fn take(&mut self, limit: usize) -> Vec<Entry> {
        let mut waiting = self.shared.waiting();
        let count = limit.min(waiting.len()).min(QUEUE_BOUND.saturating_sub(self.taken.len()));
        let orders: Vec<OrderId> = waiting.drain(..count).collect();
        if !waiting.is_empty() {
            self.shared.filled.notify_one();
        }
        drop(waiting);
        orders
            .into_iter()
            .map(|order_id| {
                self.next_token += 1;
                self.taken.insert(self.next_token, order_id);
                Entry { order_id, token: self.next_token.to_string() }
            })
            .collect()
    }
}

#[async_trait]
impl Queue for LocalQueue {
    async fn next(&mut self, limit: usize) -> Result<Vec<Entry>, BusError> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let entries = self.take(limit);
            if !entries.is_empty() || tokio::time::timeout_at(deadline, self.shared.filled.notified()).await.is_err() {
                return Ok(entries);
            }
        }
    }

    async fn settle(&mut self, entries: &[Entry], updates: &[Update]) -> Result<(), BusError> {
        self.shared.publish(updates);
        if !updates.is_empty() {
            reach(FailPoint::AfterClaimPublish);
        }
        for token in entries.iter().filter_map(|entry| entry.token.parse().ok()) {
            self.taken.remove(&token);
        }
        Ok(())
    }
}

impl Drop for LocalQueue {
    fn drop(&mut self) {
        self.shared.enqueue(std::mem::take(&mut self.taken).into_values());
    }
}

struct LocalSubscription {
    inbox: Arc<Inbox<UpdateBatch>>,
}

#[async_trait]
impl Subscription for LocalSubscription {
    async fn next(&mut self) -> Heard {
        match self.inbox.take().await {
            Taken::Item(batch) => Heard::Updates(batch),
            Taken::Gap => Heard::Gap,
        }
    }
}
