//! The bus on Redis 7.0 or newer: one server, a service behind Sentinels, or a Redis Cluster.
//!
//! # Keys and channels
//!
//! ```text
//! galley:v1:orders:{00}    stream: one entry per order to look at, field `o` = its id,
//!                                     and `traceparent` if its trace is recorded
//! galley:v1:updates:{00}   channel: UpdateBatch::encode, numbered per publisher and channel, and
//!                          the heartbeat of every publisher with its last number there
//! ```
//!
//! Redis is not trusted. Each message on a channel is signed ([`galley_protocol::message_keys`]); one
//! that is not counts as not received, and what is missing is read from the database. Entries need
//! no signature: an entry only names an order to look at.
//!
//! The braces are a hash tag: the stream and the channel of a shard are in one slot, so that one
//! pipeline carries the shard's commands. One server has one shard, `{00}`. A cluster has 16, whose
//! tags spread evenly over the masters ([`redis_names`]); entries are sharded by order id and
//! updates by hero id, and the channels are sharded channels (SPUBLISH, SSUBSCRIBE). There are no
//! other keys, and no data is lost if all of them are deleted.
//!
//! # The life of an entry
//!
//! XADD adds the entry, and XREADGROUP delivers it to one consumer of the group `workers` (a
//! consumer is the incarnation of a worker). Right after the claim was committed, PUBLISH and XACK
//! follow in one pipeline. An entry is therefore pending for milliseconds. An entry that gets stuck
//! is handled as follows:
//!
//! - its worker died between reading and acknowledging: after 10 s the XAUTOCLAIM of any live
//!   worker claims it;
//! - it is malformed (no field `o` or two, no id): it is acknowledged at once, counted as
//!   `galley_queue_malformed_total` and logged;
//! - the stream or the group is gone (FLUSHALL, DEL, XGROUP DESTROY): the group is created again at
//!   id 0, with back-off. The worker's sweep finds the orders of lost entries in the database.
//!
//! Every worker trims the stream every 5 s by MINID, below the pending and the undelivered entries.
//! MAXLEN would drop entries that were never read. The worker also deletes consumers that were idle
//! for a minute and have no pending entries.
//!
//! # Connections
//!
//! Each shard has its own connections to the master that holds it ([`cluster`]):
//!
//! - One shared connection for everything that answers at once ([`command_connection`]), with a
//!   response time-out of 1 s. While it is broken, calls fail at once.
//! - One connection per queue for the blocking XREADGROUP ([`stream_reader`]), with a time-out
//!   longer than the block.
//! - One connection per subscription ([`redis_subscription`]), read by the connection's driver,
//!   which only moves bytes.
//!
//! A server that is silent or no longer the master affects only its own shards. Their connections
//! end, and the next ones resolve the name or the slot again.
//!
//! Without Sentinels, a name leads to the server; with them, they are asked for the master before
//! each connection ([`sentinels`]).
//!
//! The bus never reads the database, and never waits for Redis without a time-out.

mod cluster;
mod command_connection;
mod dial;
mod node_connection;
mod nodes;
mod permissions;
mod pubsub_connection;
mod redis_address;
mod redis_failure;
mod redis_findings;
mod redis_names;
mod redis_outage;
mod redis_publisher;
mod redis_queue;
mod redis_subscription;
mod redis_tls;
mod reply;
mod sentinels;
mod stream_reader;
mod stream_upkeep;
mod tasks;

use std::collections::BTreeSet;
use std::sync::Arc;

use ::redis::Value;
use async_trait::async_trait;
use futures_util::future::{join, join_all, try_join_all};
use galley_protocol::finding::Finding;
use galley_protocol::{
    GatewayReport, IncarnationId, MessageKeys, OrderId, PublisherId, ResumeCursor, Update,
    WorkerReport,
};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::publish_progress::{PendingOperation, PublishProgress};
use crate::timing::Timing;
use crate::{Bus, BusConnectError, BusError, Queue, QueueBacklog, Subscription};
use command_connection::CommandConnection;
use dial::Dialer;
use nodes::Nodes;
use redis_address::RedisAddress;
use redis_names::RedisNames;
use redis_publisher::RedisPublisher;
use redis_queue::RedisQueue;
use redis_subscription::{RedisSubscription, RedisSubscriptions};
pub use redis_tls::{RedisTlsFiles, trusted_authorities};
use tasks::Tasks;

/// The most missing permissions that are named.
const MOST_NAMED: usize = 5;

pub(crate) struct RedisBus {
    nodes: Arc<Nodes>,
    names: RedisNames,
    timing: Timing,
    publisher: Arc<RedisPublisher>,
    progress: PublishProgress,
    subscriptions: Arc<RedisSubscriptions>,
    tasks: Tasks,
    /// The heartbeats and the repair of holes, one task each per shard.
    _of_publisher: Vec<AbortOnDropHandle<()>>,
}

impl RedisBus {
    /// Connects to most shards at least. The tasks of the other links keep trying.
    pub(crate) async fn connect(
        url: &str,
        tls: &RedisTlsFiles,
        namespace: &str,
        keys: MessageKeys,
        timing: Timing,
    ) -> Result<Self, BusConnectError> {
        let address = RedisAddress::parse(url)?;
        let dialer = Dialer::new(&address, tls).await?;
        let nodes = Arc::new(Nodes::find(address, dialer).await?);
        let names = RedisNames::new(namespace, nodes.is_cluster());
        let tasks = Tasks::default();
        let opening = names
            .shards()
            .map(|shard| CommandConnection::open(Arc::clone(&nodes), &names, shard, &tasks));
        let asking = names.shards().map(|shard| permissions::missing(&nodes, &names, shard));
        let (opened, missing) = join(join_all(opening), join_all(asking)).await;
        // A shard that does not answer is no reason to end the start.
        let missing: BTreeSet<String> = missing.into_iter().flatten().flatten().collect();
        if !missing.is_empty() {
            return Err(not_allowed(&nodes.place(), &missing));
        }
        let (links, greeted): (Vec<_>, Vec<_>) =
            opened.into_iter().map(|(link, greeted)| (Arc::new(link), greeted)).unzip();
        if !names.suffice(greeted.iter().filter(|greeted| greeted.is_ok()).count()) {
            let failure = greeted.into_iter().find_map(Result::err).expect("some have failed");
            return Err(nodes.explain(&failure).await);
        }
        warn_of_eviction(&links).await;
        let progress = PublishProgress::default();
        let publisher = Arc::new(RedisPublisher::new(links, names.clone(), keys, progress.clone()));
        let mut of_publisher = Vec::new();
        for shard in names.shards() {
            of_publisher.push(
                tasks
                    .start("mender of holes", redis_publisher::mend(Arc::clone(&publisher), shard)),
            );
            of_publisher.push(tasks.start(
                "heartbeat of the publisher",
                redis_publisher::live(Arc::clone(&publisher), shard),
            ));
        }
        Ok(Self {
            nodes,
            names,
            timing,
            publisher,
            progress,
            subscriptions: Arc::default(),
            tasks,
            _of_publisher: of_publisher,
        })
    }
}

#[async_trait]
impl Bus for RedisBus {
    async fn publish(&self, updates: &[Update], orders: &[OrderId]) -> Result<(), BusError> {
        self.publisher.publish(updates, orders).await
    }

    async fn queue(&self, consumer: IncarnationId) -> Result<Box<dyn Queue>, BusError> {
        let publisher = Arc::clone(&self.publisher);
        let queue =
            RedisQueue::open(&self.nodes, &self.names, self.timing, publisher, consumer).await?;
        Ok(Box::new(queue))
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, BusError> {
        let subscriptions = Arc::clone(&self.subscriptions);
        Ok(Box::new(
            RedisSubscription::open(
                &self.nodes,
                &self.names,
                &self.publisher,
                subscriptions,
                &self.tasks,
            )
            .await?,
        ))
    }

    fn lose(&self) {
        self.publisher.lose();
    }

    fn renew_login(&self, url: &str) -> Result<(), BusConnectError> {
        let address = RedisAddress::parse(url)?;
        self.nodes.renew_login(address.first().redis_settings());
        Ok(())
    }

    fn publisher(&self) -> PublisherId {
        self.publisher.id()
    }

    fn begin(&self) -> PendingOperation {
        self.progress.begin()
    }

    fn mark(&self, safe: ResumeCursor) {
        self.progress.mark(safe, Instant::now(), || self.publisher.lose());
    }

    fn is_receiving(&self) -> bool {
        self.subscriptions.are_open() && !self.subscriptions.are_deaf()
    }

    fn report_gateway(&self, report: GatewayReport) {
        self.publisher.report().set_gateway(report);
    }

    fn report_worker(&self, report: WorkerReport) {
        self.publisher.report().set_worker(report);
    }

    fn announce_menu(&self) {
        self.publisher.announce_menu();
    }

    async fn backlog(&self) -> Result<QueueBacklog, BusError> {
        let shards = self.names.shards();
        let asking = shards.map(|shard| {
            stream_upkeep::backlog(self.publisher.link(shard), self.names.stream(shard))
        });
        let shards = try_join_all(asking).await?;
        Ok(QueueBacklog {
            waiting: shards.iter().map(|shard| shard.waiting).sum(),
            delivered: shards.iter().map(|shard| shard.delivered).sum(),
        })
    }

    async fn leave(&self) {
        self.publisher.leave().await;
    }

    async fn broken(&self) {
        self.tasks.broken().await;
    }

    /// Also fails while a subscription of this bus is cut, because the caller needs to know whether
    /// updates arrive.
    async fn findings(&self) -> Result<Vec<Finding>, BusError> {
        self.inspect().await
    }

    async fn ping(&self) -> Result<(), BusError> {
        let mut ping = ::redis::pipe();
        ping.cmd("PING");
        try_join_all(
            self.names.shards().map(|shard| self.publisher.link(shard).query::<Value>(&ping)),
        )
        .await?;
        if self.subscriptions.are_deaf() {
            return Err(BusError::Unreachable("a subscription is cut".to_owned()));
        }
        Ok(())
    }
}

/// Returns the address in a URL for logs, without user and password.
pub(crate) fn place(url: &str, tls: &RedisTlsFiles) -> Result<String, BusConnectError> {
    let address = RedisAddress::parse(url)?;
    tls.check(address.is_tls())?;
    Ok(address.place())
}

fn not_allowed(place: &str, missing: &BTreeSet<String>) -> BusConnectError {
    let named = missing.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = missing.len().saturating_sub(MOST_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    BusConnectError::Refused(format!(
        "{place} does not allow its user in REDIS_URL what Galley needs: {named}{more}; \
         docs/redis.md has the rule"
    ))
}

/// Warns if Redis may evict keys: under memory pressure it must refuse writes, not delete streams.
/// A server that does not answer is not asked again.
async fn warn_of_eviction(links: &[Arc<CommandConnection>]) {
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
