//! The bus on Redis 7.0 or newer, one server or a Redis Cluster.
//!
//! # Keys and channels
//!
//! ```text
//! galley:v1:orders:{00}    stream: one entry per order to look at, one field `o` = its id
//! galley:v1:updates:{00}   channel: UpdateBatch::encode, numbered per publisher and channel, and the heartbeat of every
//!                          publisher with its last number there
//! ```
//!
//! The braces are a hash tag: stream and channel of one shard live in one slot, so that a shard's
//! commands travel in one pipeline. One server has one shard. A cluster has 16, orders by order id
//! and updates by hero id; its channels are sharded (SPUBLISH, SSUBSCRIBE). No other key exists,
//! and losing all of them loses nothing.
//!
//! # The life of an entry
//!
//! XADD, XREADGROUP by one consumer of the group `workers` (the consumer is the worker's
//! incarnation), PUBLISH and XACK in one pipeline right after the claim committed. An entry stays
//! pending for milliseconds. What becomes of a stuck one:
//!
//! - its worker died between reading and acknowledging: after 10 s the XAUTOCLAIM of any living
//!   worker returns it like new;
//! - it cannot be read (no field `o`, no id): acknowledged at once, counted as
//!   `galley_queue_malformed_total`, logged;
//! - the stream or the group is gone (FLUSHALL, DEL, XGROUP DESTROY): the group is made again at id
//!   0, with back-off; entries that are gone are found by the worker's sweep in the database.
//!
//! Every worker trims the stream every 5 s by MINID below what is pending and what was delivered,
//! never by MAXLEN, which would drop entries that nobody has read. It deletes consumers that are
//! silent for a minute and hold nothing.
//!
//! # Connections
//!
//! Each shard has its own, to the master that holds it ([`cluster`]): one shared connection for
//! everything that answers at once ([`link`]), with a response time-out of 1 s; while it is broken
//! calls fail at once. One per queue for the blocking XREADGROUP ([`reader`]), with a time-out
//! above the time it blocks. One per subscription ([`ear`]), read by the driver of the connection,
//! which only moves bytes. A server that is silent, or that is not the master any more, costs its
//! own shards and no others. Its connections end, and the next ones look anew where its name or its
//! slot is.
//!
//! Nothing here may read the database, and nothing may wait for Redis without a time-out.

mod cluster;
mod dial;
mod ear;
mod failure;
mod line;
mod link;
mod names;
mod nodes;
mod outage;
mod publisher;
mod queue;
mod reader;
mod reply;
mod tasks;
mod upkeep;

use std::sync::Arc;

use ::redis::Value;
use async_trait::async_trait;
use futures_util::future::{join_all, try_join_all};
use galley_protocol::{IncarnationId, OrderId, PublisherId, ResumeCursor, Update};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::progress::{Pending, Progress};
use crate::timing::Timing;
use crate::{Bus, BusError, ConnectError, Queue, Subscription};
use ear::{Ear, Ears};
use link::Link;
use names::Names;
use nodes::Nodes;
use publisher::Publisher;
use queue::RedisQueue;
use tasks::Tasks;

/// The bus on Redis.
pub(crate) struct RedisBus {
    nodes: Arc<Nodes>,
    names: Names,
    timing: Timing,
    publisher: Arc<Publisher>,
    progress: Progress,
    ears: Arc<Ears>,
    tasks: Tasks,
    _of_publisher: Vec<AbortOnDropHandle<()>>,
}

impl RedisBus {
    /// Connects to most shards at least; to the others as soon as that is possible.
    pub(crate) async fn connect(
        url: &str,
        namespace: &str,
        timing: Timing,
    ) -> Result<Self, ConnectError> {
        let nodes = Arc::new(Nodes::parse(url)?);
        let names = Names::new(namespace, nodes.is_cluster());
        let tasks = Tasks::default();
        let opened = join_all(
            names.shards().map(|shard| Link::open(Arc::clone(&nodes), &names, shard, &tasks)),
        )
        .await;
        let (links, greeted): (Vec<_>, Vec<_>) =
            opened.into_iter().map(|(link, greeted)| (Arc::new(link), greeted)).unzip();
        if !names.suffice(greeted.iter().filter(|greeted| greeted.is_ok()).count()) {
            let failure = greeted.into_iter().find_map(Result::err).expect("some have failed");
            return Err(failure::of_connecting(&nodes.place(), &failure));
        }
        warn_of_eviction(&links).await;
        let progress = Progress::default();
        let publisher = Arc::new(Publisher::new(links, names.clone(), progress.clone()));
        let mut of_publisher = Vec::new();
        for shard in names.shards() {
            of_publisher.push(
                tasks.start("mender of holes", publisher::mend(Arc::clone(&publisher), shard)),
            );
            of_publisher.push(tasks.start(
                "heartbeat of the publisher",
                publisher::live(Arc::clone(&publisher), shard),
            ));
        }
        Ok(Self {
            nodes,
            names,
            timing,
            publisher,
            progress,
            ears: Arc::default(),
            tasks,
            _of_publisher: of_publisher,
        })
    }
}

#[async_trait]
impl Bus for RedisBus {
    async fn announce(&self, updates: &[Update], orders: &[OrderId]) -> Result<(), BusError> {
        self.publisher.announce(updates, orders).await
    }

    async fn queue(&self, consumer: IncarnationId) -> Result<Box<dyn Queue>, BusError> {
        let publisher = Arc::clone(&self.publisher);
        let queue =
            RedisQueue::open(&self.nodes, &self.names, self.timing, publisher, consumer).await?;
        Ok(Box::new(queue))
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, BusError> {
        let ears = Arc::clone(&self.ears);
        Ok(Box::new(Ear::open(&self.nodes, &self.names, &self.publisher, ears, &self.tasks).await?))
    }

    fn lose(&self) {
        self.publisher.lose();
    }

    fn publisher(&self) -> PublisherId {
        self.publisher.id()
    }

    fn begin(&self) -> Pending {
        self.progress.begin()
    }

    fn mark(&self, safe: ResumeCursor) {
        self.progress.mark(safe, Instant::now(), || self.publisher.lose());
    }

    fn hears(&self) -> bool {
        self.ears.are_open() && !self.ears.are_deaf()
    }

    async fn leave(&self) {
        self.publisher.leave().await;
    }

    async fn broken(&self) {
        self.tasks.broken().await;
    }

    /// Also fails while a subscription of this bus is cut: whoever asks wants to know whether
    /// updates come through.
    async fn ping(&self) -> Result<(), BusError> {
        let mut ping = ::redis::pipe();
        ping.cmd("PING");
        try_join_all(
            self.names.shards().map(|shard| self.publisher.link(shard).query::<Value>(&ping)),
        )
        .await?;
        if self.ears.are_deaf() {
            return Err(BusError::Unreachable("a subscription is cut".to_owned()));
        }
        Ok(())
    }
}

/// Where a URL leads, for people: without user and password.
///
/// # Errors
/// [`ConnectError::BadUrl`]
pub(crate) fn place(url: &str) -> Result<String, ConnectError> {
    Nodes::parse(url).map(|nodes| nodes.place())
}

/// Under memory pressure Redis must refuse to write, not throw streams away. A server that does not
/// tell is not asked again.
async fn warn_of_eviction(links: &[Arc<Link>]) {
    let mut ask = ::redis::pipe();
    ask.cmd("INFO").arg("memory");
    for answer in
        join_all(links.iter().map(|link| link.query::<Value>(&ask))).await.into_iter().flatten()
    {
        let mut policies = reply::texts(&answer)
            .into_iter()
            .flat_map(str::lines)
            .filter_map(|line| line.strip_prefix("maxmemory_policy:"));
        if let Some(policy) = policies.find(|policy| *policy != "noeviction") {
            tracing::warn!(
                policy,
                "Redis may evict the order streams: set maxmemory-policy to noeviction"
            );
            return;
        }
    }
}
