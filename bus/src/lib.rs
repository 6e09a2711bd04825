//! The only crate that speaks Redis: the dispatch queue and the update pub/sub, Redis and
//! in-process behind one trait.
//!
//! Nothing here is the truth. An entry of the queue only means "look at this order", an update only
//! means "this order changed"; both may be lost, doubled or late, and are healed from the database.

pub mod backoff;
mod connect;
#[cfg(test)]
mod cursor;
mod hearing;
mod heartbeat;
mod inbox;
mod local;
mod progress;
mod publishers;
mod rarely;
mod redis;
mod timing;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use galley_protocol::{IncarnationId, OrderId, PublisherId, ResumeCursor, Update, UpdateBatch};
use thiserror::Error;

pub use backoff::Backoff;
#[doc(hidden)]
pub use connect::connect_with;
pub use connect::{BusConfig, connect};
pub use progress::Pending;
pub use rarely::Rarely;
#[doc(hidden)]
pub use timing::Timing;

/// The bus did not take it. Nothing is lost but time: the database is asked instead.
#[derive(Clone, Debug, Error)]
pub enum BusError {
    /// It does not answer, or not yet. The bus itself logs when that begins and when it ends.
    #[error("cannot reach Redis: {0}")]
    Unreachable(String),
    /// It answered with an error that waiting does not cure.
    #[error("Redis refused: {0}")]
    Refused(String),
}

/// Why there is no bus. Never tells a password.
#[derive(Clone, Debug, Error)]
pub enum ConnectError {
    /// The URL is wrong; trying again will not help.
    #[error("not a Redis URL: {0}")]
    BadUrl(String),
    /// Redis answers, and will not let this process in until somebody changes something.
    #[error("{0}")]
    Refused(String),
    /// Redis does not answer, or not yet.
    #[error("{0}")]
    Unreachable(String),
}

/// The dispatch queue and the update pub/sub.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Publishes updates and puts orders on the dispatch queue, in this order and in one pipeline:
    /// no worker takes an order, and publishes what comes of it, before what is told of it here is
    /// heard. In a cluster the two go to different servers, each in its own time.
    ///
    /// Of all that one process publishes for a hero, what it began first is heard first: an
    /// announcement begins when it is polled.
    async fn announce(&self, updates: &[Update], orders: &[OrderId]) -> Result<(), BusError>;
    /// Opens the dispatch queue for one worker.
    async fn queue(&self, consumer: IncarnationId) -> Result<Box<dyn Queue>, BusError>;
    /// Listens to the updates of every process, this one included. What is published after this
    /// returns is heard.
    async fn subscribe(&self) -> Result<Box<dyn Subscription>, BusError>;
    /// Updates that should have been announced never will be: every subscription hears a gap, as
    /// soon as the bus takes it.
    fn lose(&self);
    /// The name under which this process publishes.
    fn publisher(&self) -> PublisherId;
    /// Begins an operation that may commit something which is announced later. To be held from
    /// before its statement until its announcement was published or left a hole; held for long, it
    /// holds back the cursors of all gateways.
    fn begin(&self) -> Pending;
    /// Takes a cursor of the database whose answer has just arrived. It is published once no
    /// operation is left that began before.
    fn mark(&self, safe: ResumeCursor);
    /// Returns true if this process has a subscription, and every one of them hears.
    fn hears(&self) -> bool;
    /// Says goodbye, for a process that has announced everything it committed: nobody needs to look
    /// for what it left behind. It is the last message of this process.
    async fn leave(&self);
    /// Waits until a task of the bus has ended by itself, without which it does not go on; for ever
    /// where there is none.
    async fn broken(&self);
    /// Returns an error unless the bus answers.
    async fn ping(&self) -> Result<(), BusError>;
}

/// A bus that everyone may hold.
pub type SharedBus = Arc<dyn Bus>;

/// The dispatch queue, as one worker reads it. An entry is given to one worker at a time.
#[async_trait]
pub trait Queue: Send {
    /// Waits up to a second for entries and takes at most `limit`. An empty answer is no error.
    /// Safe to drop while it waits.
    async fn next(&mut self, limit: usize) -> Result<Vec<Entry>, BusError>;
    /// Publishes what came of the entries and takes them off the queue, in this order and in one
    /// pipeline. Begins when it is polled, as an announcement does.
    async fn settle(&mut self, entries: &[Entry], updates: &[Update]) -> Result<(), BusError>;
}

/// An entry of the dispatch queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The order to look at.
    pub order_id: OrderId,
    /// The queue's own name for the entry.
    pub token: String,
}

/// The updates, as one gateway hears them.
#[async_trait]
pub trait Subscription: Send {
    /// Waits for the next thing to hear. Safe to drop while it waits.
    async fn next(&mut self) -> Heard;
    /// Takes the publishers that the database knows to live, the cursor of that moment, and the
    /// position above every transaction that has begun. To be called every second: a publisher that
    /// lives and is not heard is a gap.
    fn census(&mut self, living: &BTreeSet<PublisherId>, safe: ResumeCursor, next: i64);
    /// A repair of every gap that was heard so far begins. The first one is owed from the start,
    /// since no cursor.
    fn repairing(&mut self);
    /// The repair has been carried out: everything before `safe` was told, the cursor of a census
    /// from before the repair.
    fn repaired(&mut self, safe: ResumeCursor);
    /// The publishers that live and are not heard.
    fn unheard(&self) -> Vec<Unheard>;
}

/// A publisher that lives and is not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unheard {
    /// The publisher.
    pub publisher: PublisherId,
    /// The moment at which it was heard last.
    pub since: Instant,
}

/// Something that a subscription heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The updates that one process published at once.
    Updates(UpdateBatch),
    /// Updates may have been lost up to here: the connection was cut and is back, the listener was
    /// too slow, a message never came, a process that publishes is not heard though it lives, or it
    /// is gone, perhaps between a commit and its publication.
    Gap {
        /// Everything before this cursor was told. Without one nobody knows.
        since: Option<ResumeCursor>,
    },
    /// Everything before this cursor has been heard, or was repaired.
    Safe(ResumeCursor),
}
