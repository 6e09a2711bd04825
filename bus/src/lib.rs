//! The only crate that speaks Redis: the dispatch queue and the pub/sub of updates, on Redis or
//! in-process, behind one trait.
//!
//! The database is the truth, not the bus. An entry of the queue only means "look at this order",
//! an update only means "this order changed". Both may be lost, duplicated or late, and every such
//! fault is repaired from the database.

pub mod backoff;
mod bus_connect;
mod heard_processes;
mod heartbeat;
mod inbox;
mod local;
mod log_limiter;
mod menu_message;
mod own_report;
mod publish_progress;
mod publishers;
mod redis;
#[cfg(test)]
mod test_cursor;
mod timing;
mod tracked_subscription;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use galley_protocol::finding::Finding;
use galley_protocol::{
    GatewayReport, IncarnationId, OrderId, ProcessReport, PublisherId, RepairCauses, ResumeCursor,
    TraceContext, Update, UpdateBatch, WorkerReport,
};
use thiserror::Error;

pub use backoff::Backoff;
#[doc(hidden)]
pub use bus_connect::connect_with;
pub use bus_connect::{BusConfig, connect};
pub use log_limiter::LogLimiter;
pub use publish_progress::PendingOperation;
pub use redis::{RedisTlsFiles, trusted_authorities};
#[doc(hidden)]
pub use timing::Timing;

/// A failed call of the bus. No data is lost: the change is in the database.
#[derive(Clone, Debug, Error)]
pub enum BusError {
    /// Redis does not answer. The bus itself logs when an outage begins and ends.
    #[error("cannot reach Redis: {0}")]
    Unreachable(String),
    /// Redis answered with an error that waiting does not cure.
    #[error("Redis refused: {0}")]
    Refused(String),
}

/// A failure to connect to the bus. Its text never contains a password.
#[derive(Clone, Debug, Error)]
pub enum BusConnectError {
    /// The URL is malformed. A retry does not help.
    #[error("not a Redis URL: {0}")]
    BadUrl(String),
    /// A file for TLS cannot be used, or there is no TLS. A retry does not help.
    #[error("{0}")]
    BadTls(String),
    /// Redis answers but rejects this process. A retry helps only with another configuration.
    #[error("{0}")]
    Refused(String),
    /// Redis does not answer. A retry may help.
    #[error("{0}")]
    Unreachable(String),
}

/// The dispatch queue and the update pub/sub.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Publishes updates and puts orders on the dispatch queue, in this order and in one pipeline.
    /// A worker therefore cannot publish the next state of an order before these updates are
    /// published. In a cluster the two may go to different servers, with no order between them. The
    /// entry of an order carries the trace of its update.
    ///
    /// The messages of one process for one hero are received in the order in which the calls were
    /// first polled.
    async fn publish(&self, updates: &[Update], orders: &[OrderId]) -> Result<(), BusError>;
    /// Opens the dispatch queue for one worker.
    async fn queue(&self, consumer: IncarnationId) -> Result<Box<dyn Queue>, BusError>;
    /// Subscribes to the updates of every process, this one included. Everything published after
    /// this returns is received or reported as a gap.
    async fn subscribe(&self) -> Result<Box<dyn Subscription>, BusError>;
    /// Leaves a hole for updates that will never be published. Every subscription receives a gap,
    /// as soon as the bus accepts a message.
    fn lose(&self);
    /// Returns the name under which this process publishes.
    fn publisher(&self) -> PublisherId;
    /// Begins an operation that may commit a change and publish it later. The caller holds the
    /// result from before the statement until the change was published or left a hole. Meanwhile it
    /// holds back the cursors of all gateways.
    fn begin(&self) -> PendingOperation;
    /// Takes a cursor that the database has just returned. It is published once every operation
    /// that began before this call has ended.
    fn mark(&self, safe: ResumeCursor);
    /// Returns true if this process has a subscription, and no shard of any subscription is cut.
    fn is_receiving(&self) -> bool;
    /// Sets the part of this process' report that its gateway writes. The next heartbeats carry it.
    fn report_gateway(&self, _report: GatewayReport) {}
    /// Sets the part of this process' report that its worker writes. The next heartbeats carry it.
    fn report_worker(&self, _report: WorkerReport) {}
    /// Tells every gateway that heroes or meals have changed, without saying which. A message that is
    /// lost delays what they read from the database anyway.
    fn announce_menu(&self) {}
    /// Counts the entries of the dispatch queue.
    async fn backlog(&self) -> Result<QueueBacklog, BusError> {
        Ok(QueueBacklog::default())
    }
    /// Publishes a goodbye, the last message of this process. The caller has published everything
    /// that it committed, so that no subscription needs a repair for this process.
    async fn leave(&self);
    /// Waits until a task that the bus needs has ended unexpectedly; without tasks, forever.
    async fn broken(&self);
    /// Takes the user and the password of this URL for further connections. A bus within the
    /// process has none.
    ///
    /// # Errors
    /// [`BusConnectError::BadUrl`]; the earlier ones stay in force.
    fn renew_login(&self, _url: &str) -> Result<(), BusConnectError> {
        Ok(())
    }
    /// Looks at the servers, for people who set them up; a bus within the process has none.
    async fn findings(&self) -> Result<Vec<Finding>, BusError> {
        Ok(Vec::new())
    }
    /// Returns an error unless the bus answers.
    async fn ping(&self) -> Result<(), BusError>;
}

/// A shared handle of a bus.
pub type SharedBus = Arc<dyn Bus>;

/// The dispatch queue, as one worker reads it. Each entry is delivered to one worker at a time.
#[async_trait]
pub trait Queue: Send {
    /// Waits up to a second for entries and returns at most `limit`; the list may be empty. Cancel
    /// safe.
    async fn next(&mut self, limit: usize) -> Result<Vec<Entry>, BusError>;
    /// Publishes the updates that resulted from the entries and acknowledges the entries, in this
    /// order and in one pipeline. In a cluster the two may go to different servers, with no order
    /// between them. The moment of the first poll counts, as for [`Bus::publish`].
    async fn settle(&mut self, entries: &[Entry], updates: &[Update]) -> Result<(), BusError>;
}

/// The entries of the dispatch queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueBacklog {
    /// The entries that no worker has read; `None` if the bus cannot say.
    pub waiting: Option<u64>,
    /// The entries that a worker has read and not settled; `None` if the bus cannot say.
    pub delivered: Option<u64>,
}

/// An entry of the dispatch queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The order to look at.
    pub order_id: OrderId,
    /// The queue's own id of the entry.
    pub token: String,
    /// The span that placed the order, if its trace is recorded.
    pub trace: Option<Box<TraceContext>>,
}

/// The updates, as one gateway receives them.
#[async_trait]
pub trait Subscription: Send {
    /// Waits for the next event. Cancel safe.
    async fn next(&mut self) -> SubscriptionEvent;
    /// Takes the publishers that are alive according to the database, the cursor of that moment,
    /// and the position above every transaction that has begun. The caller does this once a second.
    /// A live publisher that is silent counts as a gap.
    fn census(&mut self, living: &BTreeSet<PublisherId>, safe: ResumeCursor, next: i64);
    /// Notes that a repair of every gap reported so far begins. A new subscription needs one from
    /// the start, for the time before it.
    fn repairing(&mut self);
    /// Notes that the repair has been carried out. Everything before `safe`, the cursor of a census
    /// from before the repair, was delivered.
    fn repaired(&mut self, safe: ResumeCursor);
    /// Returns the live publishers that are silent on at least one shard.
    fn unheard(&self) -> Vec<UnheardPublisher>;
    /// Returns the processes that sent a heartbeat lately, at most 512.
    fn processes(&mut self) -> Vec<HeardProcess>;
    /// Returns the number of gaps since the subscription began, by cause.
    fn gaps(&self) -> RepairCauses;
}

/// A process that sent a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardProcess {
    /// Its publisher.
    pub publisher: PublisherId,
    /// The moment of its last heartbeat.
    pub at: Instant,
    /// True if its last heartbeat was its goodbye.
    pub left: bool,
    /// Its last report; `None` for a version that sends none.
    pub report: Option<Arc<ProcessReport>>,
}

/// Returns the orders whose traces are recorded.
fn traced_orders(updates: &[Update]) -> Vec<(OrderId, &TraceContext)> {
    let traced = updates.iter().filter_map(|it| Some((it.order_id, &**it.trace.as_ref()?)));
    traced.collect()
}

/// A live publisher that is silent on at least one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnheardPublisher {
    /// The publisher.
    pub publisher: PublisherId,
    /// The moment of its last message on the shard that is silent for longest.
    pub since: Instant,
}

/// An event of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionEvent {
    /// The updates that one process published in one message.
    Updates(UpdateBatch),
    /// Updates may have been lost up to here. The connection was cut and is back, the subscriber
    /// was too slow, a message is missing, a live publisher is silent, or a publisher died,
    /// possibly between a commit and its publication.
    Gap {
        /// Everything before this cursor was delivered. `None`: the start of the loss is unknown.
        since: Option<ResumeCursor>,
    },
    /// Everything before this cursor was received or repaired.
    Safe(ResumeCursor),
    /// Heroes or meals have changed; the database knows which.
    MenuChanged,
}
