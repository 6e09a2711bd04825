//! The bus on Redis 7.0 or newer, one server or a Redis Cluster.
//!
//! # Keys and channels
//!
//! ```text
//! galley:v1:orders:{00}    stream: one entry per order to look at, one field `o` = its id
//! galley:v1:updates:{00}   channel: UpdateBatch::encode, numbered per publisher and channel
//! galley:v1:probes:{00}    channel: the heartbeat of every publisher, with its last numbers
//! ```
//!
//! The braces are a hash tag: stream and channel of one shard live in one slot, so that a shard's commands travel in one
//! pipeline. One server has one shard. A cluster has 16, orders by order id and updates by hero id; its channels are sharded
//! (SPUBLISH, SSUBSCRIBE), its streams have one reader each. No other key exists, and losing all of them loses nothing.
//!
//! # The life of an entry
//!
//! XADD, XREADGROUP by one consumer of the group `workers` (the consumer is the worker's incarnation), PUBLISH and XACK in one
//! pipeline right after the claim committed. An entry stays pending for milliseconds. What becomes of a stuck one:
//!
//! - its worker died between reading and acknowledging: after 10 s the XAUTOCLAIM of any living worker returns it like new;
//! - it cannot be read (no field `o`, no id): acknowledged at once, counted as `galley_queue_malformed_total`, logged;
//! - the stream or the group is gone (FLUSHALL, DEL, XGROUP DESTROY): the group is made again at id 0, with back-off; entries
//!   that are gone are found by the worker's sweep in the database.
//!
//! Every worker trims the stream every 5 s by MINID below what is pending and what was delivered, never by MAXLEN, which would
//! drop entries that nobody has read. It deletes consumers that are silent for a minute and hold nothing.
//!
//! # Connections
//!
//! One shared connection for everything that answers at once ([`link`]), with a response time-out of 1 s; while it is broken
//! calls fail at once. One connection per queue and shard for the blocking XREADGROUP ([`reader`]), with a time-out above the
//! time it blocks. One per subscription ([`ear`]), read by the driver of the connection, which only moves bytes.
//!
//! Nothing here may read the database, and nothing may wait for Redis without a time-out.

mod ear;
mod failure;
mod link;
mod names;
mod nodes;
mod outage;
mod probe;
mod publisher;
mod publishers;
mod queue;
mod reader;
mod reply;
mod upkeep;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ::redis::Value;
use async_trait::async_trait;
use galley_protocol::{IncarnationId, OrderId, Update};
use tokio_util::task::AbortOnDropHandle;

use crate::connect::{ConnectError, Timing};
use crate::{Bus, BusError, Queue, Subscription};
use ear::Ear;
use link::Link;
use names::Names;
use nodes::Nodes;
use publisher::Publisher;
use queue::RedisQueue;

/// The bus on Redis.
pub(crate) struct RedisBus {
    nodes: Arc<Nodes>,
    names: Names,
    timing: Timing,
    link: Arc<Link>,
    publisher: Arc<Publisher>,
    /// How many subscriptions of this bus hear nothing at the moment.
    deaf: Arc<AtomicUsize>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl RedisBus {
    /// Connects.
    pub(crate) async fn connect(url: &str, namespace: &str, timing: Timing) -> Result<Self, ConnectError> {
        let nodes = Arc::new(Nodes::parse(url)?);
        let names = Names::new(namespace, nodes.is_cluster());
        let link = Link::open(Arc::clone(&nodes)).await;
        let link = Arc::new(link.map_err(|error| failure::of_connecting(&nodes.place(), &error))?);
        warn_of_eviction(&link).await;
        let publisher = Arc::new(Publisher::new(Arc::clone(&link), names.clone()));
        // Heard by all before this process commits anything: should it die right after its first commit, it is missed.
        publisher.beat().await.map_err(|error| failure::of_first_beat(&nodes.place(), &error))?;
        let mender = tokio::spawn(publisher::mend(Arc::clone(&publisher)));
        let heart = tokio::spawn(publisher::live(Arc::clone(&publisher)));
        let tasks = [mender, heart].map(AbortOnDropHandle::new);
        Ok(Self { nodes, names, timing, link, publisher, deaf: Arc::default(), _tasks: tasks })
    }
}

#[async_trait]
impl Bus for RedisBus {
    async fn announce(&self, updates: &[Update], orders: &[OrderId]) -> Result<(), BusError> {
        self.publisher.announce(updates, orders).await
    }

    async fn queue(&self, consumer: IncarnationId) -> Result<Box<dyn Queue>, BusError> {
        let publisher = Arc::clone(&self.publisher);
        let queue = RedisQueue::open(&self.nodes, &self.names, self.timing, &self.link, publisher, consumer).await?;
        Ok(Box::new(queue))
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, BusError> {
        let (nodes, names) = (Arc::clone(&self.nodes), self.names.clone());
        Ok(Box::new(Ear::open(nodes, names, self.publisher.id(), Arc::clone(&self.deaf)).await?))
    }

    fn lose(&self) {
        self.publisher.lose();
    }

    /// Also fails while a subscription of this bus is cut: whoever asks wants to know whether updates come through.
    async fn ping(&self) -> Result<(), BusError> {
        self.link.query::<Value>(::redis::pipe().cmd("PING")).await?;
        match self.deaf.load(Ordering::Relaxed) {
            0 => Ok(()),
            _ => Err(BusError::Unreachable("a subscription is cut".to_owned())),
        }
    }
}

/// Where a URL leads, for people: without user and password.
///
/// # Errors
/// [`ConnectError::BadUrl`]
pub(crate) fn place(url: &str) -> Result<String, ConnectError> {
    Nodes::parse(url).map(|nodes| nodes.place())
}

/// Under memory pressure Redis must refuse to write, not throw streams away. A server that does not tell is not asked again.
async fn warn_of_eviction(link: &Link) {
    let Ok(info) = link.query::<Value>(::redis::pipe().cmd("INFO").arg("memory")).await else { return };
    let mut policies =
        reply::texts(&info).into_iter().flat_map(str::lines).filter_map(|line| line.strip_prefix("maxmemory_policy:"));
    if let Some(policy) = policies.find(|policy| *policy != "noeviction") {
        tracing::warn!(policy, "Redis may evict the order streams: set maxmemory-policy to noeviction");
    }
}
