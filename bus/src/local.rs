//! The bus within one process, for the embedded program and for tests.
//!
//! It keeps the same promises as Redis. Each entry goes to one reader, and returns to the queue if
//! the reader is dropped before it settled the entry. Updates reach every subscription in order.
//! Publishing never waits for a reader or subscriber. At its bound the queue drops the newest entry;
//! the worker's sweep finds that order in the database. At its bound a subscription drops updates
//! and reports a gap. Each mark also publishes a heartbeat, behind everything that was published
//! before.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use async_trait::async_trait;
use galley_fail_points::{FailPoint, reach};
use galley_protocol::{
    GatewayReport, IncarnationId, OrderId, PublisherId, ResumeCursor, TraceContext, Update,
    UpdateBatch, WorkerReport,
};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::heartbeat::Heartbeat;
use crate::inbox::Inbox;
use crate::own_report::OwnReport;
use crate::publish_progress::{PendingOperation, PublishProgress, new_publisher};
use crate::tracked_subscription::{BusMessage, Decode, TrackedSubscription};
use crate::{Bus, BusError, Entry, Queue, QueueBacklog, Subscription, traced_orders};

/// The most entries that wait; beyond it, new ones are dropped. Also the most unsettled entries of
/// one reader; beyond it, the reader takes no more.
const QUEUE_BOUND: usize = 100_000;

/// The longest wait of a reader for entries.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct LocalBus {
    shared: Arc<LocalState>,
    progress: PublishProgress,
}

/// An order that waits for a reader, with the span that placed it if its trace is recorded.
type WaitingOrder = (OrderId, Option<Box<TraceContext>>);

struct LocalState {
    publisher: PublisherId,
    report: OwnReport,
    waiting: Mutex<VecDeque<WaitingOrder>>,
    filled: Notify,
    listeners: Mutex<Listeners>,
}

#[derive(Default)]
struct Listeners {
    /// The number of the last message.
    published: u64,
    inboxes: Vec<Weak<Inbox<BusMessage>>>,
}

impl Default for LocalBus {
    fn default() -> Self {
        let publisher = new_publisher();
        let shared = LocalState {
            publisher,
            report: OwnReport::default(),
            waiting: Mutex::default(),
            filled: Notify::new(),
            listeners: Mutex::default(),
        };
        Self { shared: Arc::new(shared), progress: PublishProgress::default() }
    }
}

impl Listeners {
    fn put(&mut self, bytes: usize, message: &BusMessage) {
        // Removes the inboxes of subscriptions that were dropped.
        self.inboxes.retain(|inbox| {
            inbox.upgrade().map(|inbox| inbox.put(bytes, message.clone())).is_some()
        });
    }
}

impl LocalState {
    fn enqueue(&self, orders: impl IntoIterator<Item = WaitingOrder>) {
        let mut waiting = self.waiting();
        for order in orders {
            if waiting.len() < QUEUE_BOUND {
                waiting.push_back(order);
            } else {
                metrics::counter!(galley_telemetry::QUEUE_DROPPED).increment(1);
            }
        }
        measure(&waiting);
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
        // One lock for the number and the delivery: messages arrive in the order of their numbers.
        listeners.published += 1;
        let number = listeners.published;
        let batch = UpdateBatch { publisher: self.publisher, number, updates: updates.to_vec() };
        listeners.put(bytes, &BusMessage::Updates(batch));
    }

    fn beat(&self, published: Option<ResumeCursor>, leaves: bool) {
        let report = self.report.now();
        let mut listeners = self.listeners();
        let number = listeners.published;
        let beat = Heartbeat { publisher: self.publisher, number, published, leaves, report };
        listeners.put(size_of::<Heartbeat>(), &BusMessage::Heartbeat(beat));
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<WaitingOrder>> {
        self.waiting.lock().expect("nothing panics while it holds this lock")
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().expect("nothing panics while it holds this lock")
    }
}

#[async_trait]
impl Bus for LocalBus {
    async fn publish(&self, updates: &[Update], orders: &[OrderId]) -> Result<(), BusError> {
        self.shared.publish(updates);
        let traced = traced_orders(updates);
        let trace_of = |order: OrderId| {
            let (_, trace) = traced.iter().find(|(id, _)| *id == order)?;
            Some(Box::new(**trace))
        };
        self.shared.enqueue(orders.iter().map(|order| (*order, trace_of(*order))));
        Ok(())
    }

    async fn queue(&self, _consumer: IncarnationId) -> Result<Box<dyn Queue>, BusError> {
        Ok(Box::new(LocalQueue {
            shared: Arc::clone(&self.shared),
            taken: BTreeMap::new(),
            next_token: 0,
        }))
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, BusError> {
        let inbox = Arc::new(Inbox::default());
        self.shared.listeners().inboxes.push(Arc::downgrade(&inbox));
        Ok(Box::new(TrackedSubscription::new(inbox, 1, OnlyShard)))
    }

    fn lose(&self) {
        for inbox in &self.shared.listeners().inboxes {
            if let Some(inbox) = inbox.upgrade() {
                inbox.gap();
            }
        }
    }

    fn publisher(&self) -> PublisherId {
        self.shared.publisher
    }

    fn begin(&self) -> PendingOperation {
        self.progress.begin()
    }

    fn mark(&self, safe: ResumeCursor) {
        self.progress.mark(safe, Instant::now(), || self.lose());
        self.shared.beat(self.progress.published(), false);
    }

    fn is_receiving(&self) -> bool {
        self.shared.listeners().inboxes.iter().any(|inbox| inbox.strong_count() > 0)
    }

    fn report_gateway(&self, report: GatewayReport) {
        self.shared.report.set_gateway(report);
    }

    fn report_worker(&self, report: WorkerReport) {
        self.shared.report.set_worker(report);
    }

    fn announce_menu(&self) {
        let message = BusMessage::MenuChanged(self.shared.publisher);
        self.shared.listeners().put(size_of::<BusMessage>(), &message);
    }

    async fn backlog(&self) -> Result<QueueBacklog, BusError> {
        Ok(QueueBacklog { waiting: Some(self.shared.waiting().len() as u64), delivered: None })
    }

    async fn leave(&self) {
        self.shared.beat(self.progress.published(), true);
    }

    async fn broken(&self) {
        std::future::pending::<()>().await;
    }

    async fn ping(&self) -> Result<(), BusError> {
        Ok(())
    }
}

struct LocalQueue {
    shared: Arc<LocalState>,
    /// The unsettled entries, by token.
    taken: BTreeMap<u64, OrderId>,
    next_token: u64,
}

#[expect(clippy::cast_precision_loss, reason = "at most the bound of the queue")]
fn measure(waiting: &VecDeque<WaitingOrder>) {
    let labels = [("state", "waiting"), ("stream", "in-process")];
    metrics::gauge!(galley_telemetry::QUEUE_ENTRIES, &labels).set(waiting.len() as f64);
}

impl LocalQueue {
    fn take(&mut self, limit: usize) -> Vec<Entry> {
        let mut waiting = self.shared.waiting();
        let count = limit.min(waiting.len()).min(QUEUE_BOUND.saturating_sub(self.taken.len()));
        let orders: Vec<WaitingOrder> = waiting.drain(..count).collect();
        measure(&waiting);
        // Many entries may share one notification: wakes the next reader.
        if !waiting.is_empty() {
            self.shared.filled.notify_one();
        }
        drop(waiting);
        orders
            .into_iter()
            .map(|(order_id, trace)| {
                self.next_token += 1;
                self.taken.insert(self.next_token, order_id);
                Entry { order_id, token: self.next_token.to_string(), trace }
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
            if !entries.is_empty()
                || tokio::time::timeout_at(deadline, self.shared.filled.notified()).await.is_err()
            {
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
        // Other readers get the unsettled entries, without their traces.
        let unsettled = std::mem::take(&mut self.taken).into_values();
        self.shared.enqueue(unsettled.map(|order_id| (order_id, None)));
    }
}

/// The decoder of this bus: its messages are never encoded, and it has one shard.
struct OnlyShard;

impl Decode for OnlyShard {
    type Item = BusMessage;

    fn decode(&mut self, message: BusMessage) -> Option<(u16, BusMessage)> {
        Some((0, message))
    }
}
