//! Writes to Redis: entries, updates and acknowledgements, in one pipeline per shard. No shard
//! waits for another.
//!
//! Each message on a channel carries this publisher's next number. The number is taken and the
//! message sent under one lock. Numbers therefore arrive in order, and a heartbeat follows every
//! message up to its number. A number whose message was not sent is a hole, which subscribers
//! notice at the next message or heartbeat. To make them notice it soon, [`mend`] publishes an
//! empty message as soon as Redis accepts one. [`live`] publishes the heartbeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::future::join_all;
use galley_fail_points::{FailPoint, reach, withhold};
use galley_protocol::{MessageKeys, OrderId, PublisherId, TraceContext, Update, UpdateBatch};
use redis::{Pipeline, Value};
use tokio::sync::{Mutex, Notify};
use tokio::time::MissedTickBehavior;

use super::command_connection::{CommandConnection, write_nothing};
use super::redis_names::{FIELD, GROUP, RedisNames, TRACE_FIELD};
use super::redis_outage::RedisOutage;
use crate::heartbeat::{BEAT, Heartbeat};
use crate::menu_message::{MENU_SHARD, encode_menu_message};
use crate::own_report::OwnReport;
use crate::publish_progress::{PublishProgress, new_publisher};
use crate::{Backoff, BusError, traced_orders};

pub(super) struct RedisPublisher {
    names: RedisNames,
    keys: MessageKeys,
    id: PublisherId,
    progress: PublishProgress,
    report: OwnReport,
    shards: Vec<ShardChannel>,
    outage: RedisOutage,
    /// Wakes [`live`]: heroes or meals have changed.
    menu_changed: Notify,
    /// True once the process is leaving and sends no more heartbeats.
    has_left: AtomicBool,
}

struct ShardChannel {
    link: Arc<CommandConnection>,
    /// Held from taking a number until Redis has answered or failed.
    turn: Mutex<()>,
    /// The last number that was taken.
    last: AtomicU64,
    /// Wakes [`mend`]: a number has no message.
    owed: Notify,
}

/// The commands for one shard, sent in the order of the fields.
struct Parcel<'a> {
    /// `Some` with an empty list is an empty message, which reveals a hole.
    updates: Option<Vec<Update>>,
    orders: Vec<OrderId>,
    /// The orders whose traces are recorded.
    traced: &'a [(OrderId, &'a TraceContext)],
    settled: Vec<&'a str>,
}

/// A guard that wakes [`mend`] unless the message was sent, even if the sending future is dropped.
struct UnsentNumber<'a>(Option<&'a Notify>);

impl UnsentNumber<'_> {
    fn settle(mut self) {
        self.0 = None;
    }
}

impl Drop for UnsentNumber<'_> {
    fn drop(&mut self) {
        if let Some(owed) = self.0 {
            owed.notify_one();
        }
    }
}

impl RedisPublisher {
    /// Creates a publisher with a random name, from one link per shard.
    pub(super) fn new(
        links: Vec<Arc<CommandConnection>>,
        names: RedisNames,
        keys: MessageKeys,
        progress: PublishProgress,
    ) -> Self {
        let shard = |link| ShardChannel {
            link,
            turn: Mutex::default(),
            last: AtomicU64::new(0),
            owed: Notify::new(),
        };
        let shards = links.into_iter().map(shard).collect();
        let (outage, has_left) = (RedisOutage::default(), AtomicBool::new(false));
        let (id, report) = (new_publisher(), OwnReport::default());
        let menu_changed = Notify::new();
        Self { names, keys, id, progress, report, shards, outage, menu_changed, has_left }
    }

    pub(super) fn id(&self) -> PublisherId {
        self.id
    }

    pub(super) fn report(&self) -> &OwnReport {
        &self.report
    }

    pub(super) fn keys(&self) -> &MessageKeys {
        &self.keys
    }

    pub(super) fn link(&self, shard: u16) -> &CommandConnection {
        &self.shard(shard).link
    }

    pub(super) async fn publish(
        &self,
        updates: &[Update],
        orders: &[OrderId],
    ) -> Result<(), BusError> {
        self.send(updates, orders, &[]).await
    }

    /// Publishes updates, then acknowledges entries, given by shard and id in the stream.
    pub(super) async fn settle(
        &self,
        settled: &[(u16, &str)],
        updates: &[Update],
    ) -> Result<(), BusError> {
        if updates.is_empty() {
            return self.send(&[], &[], settled).await;
        }
        // A pipeline cannot end halfway: the last one before the fail point acknowledges nothing.
        let settled = withhold(FailPoint::AfterClaimPublish, settled);
        self.send(updates, &[], settled).await?;
        reach(FailPoint::AfterClaimPublish);
        Ok(())
    }

    /// Leaves a hole on every channel, for something that will never be published.
    pub(super) fn lose(&self) {
        for shard in &self.shards {
            shard.last.fetch_add(1, Ordering::Relaxed);
            shard.owed.notify_one();
        }
    }

    /// Publishes soon that heroes or meals have changed. Several calls may share one message.
    pub(super) fn announce_menu(&self) {
        self.menu_changed.notify_one();
    }

    async fn send_menu_message(&self) -> Result<(), BusError> {
        let channel = self.names.channel(MENU_SHARD);
        let message = self.keys.sign(&channel, encode_menu_message(self.id));
        let mut pipeline = Pipeline::new();
        pipeline.cmd(self.names.publish()).arg(channel).arg(message).ignore();
        self.link(MENU_SHARD).query::<Value>(&pipeline).await.map(drop)
    }

    /// Publishes the heartbeat on a shard, behind everything that was published there. Does nothing
    /// after the goodbye.
    pub(super) async fn beat(&self, shard: u16) -> Result<(), BusError> {
        if self.has_left.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.send_heartbeat(shard, false).await
    }

    /// Publishes the goodbye on every shard. Failures are not reported: subscribers then take the
    /// process for dead, and repair.
    pub(super) async fn leave(&self) {
        // First: no heartbeat may follow the goodbye.
        self.has_left.store(true, Ordering::Relaxed);
        for left in
            join_all(self.names.shards().map(|shard| self.send_heartbeat(shard, true))).await
        {
            if let Err(error) = left {
                tracing::debug!(%error, "the goodbye was not published");
            }
        }
    }

    async fn send_heartbeat(&self, id: u16, leaves: bool) -> Result<(), BusError> {
        let shard = self.shard(id);
        let turn = shard.turn.lock().await;
        // The cursor is read before the number: whatever was published before the cursor, or left a
        // hole, has its number by then.
        let published = self.progress.published();
        let number = shard.last.load(Ordering::Relaxed);
        let beat = Heartbeat { publisher: self.id, number, published, leaves, report: None };
        let channel = self.names.channel(id);
        let mut pipeline = Pipeline::new();
        write_nothing(&mut pipeline, &self.names.stream(id));
        // The version before cannot read a heartbeat with a signature.
        if self.keys.expect_unsigned() {
            pipeline.cmd(self.names.publish()).arg(&channel).arg(beat.encode()).ignore();
        }
        let message = Heartbeat { report: self.report.now(), ..beat }.encode();
        let message = self.keys.sign(&channel, message.into_bytes());
        pipeline.cmd(self.names.publish()).arg(channel).arg(message).ignore();
        let sent = shard.link.query::<Value>(&pipeline).await;
        drop(turn);
        sent.map(drop)
    }

    async fn send(
        &self,
        updates: &[Update],
        orders: &[OrderId],
        settled: &[(u16, &str)],
    ) -> Result<(), BusError> {
        // The version before cannot read an entry with a trace.
        let is_carried = !self.keys.expect_unsigned();
        let traced = traced_orders(if is_carried { updates } else { &[] });
        let parcels = self.names.shards().filter_map(|shard| {
            let mine = |update: &&Update| self.names.shard_of_hero(update.hero_id) == shard;
            let updates: Vec<Update> = updates.iter().filter(mine).cloned().collect();
            let parcel = Parcel {
                updates: (!updates.is_empty()).then_some(updates),
                orders: orders
                    .iter()
                    .copied()
                    .filter(|id| self.names.shard_of_order(*id) == shard)
                    .collect(),
                traced: &traced,
                settled: settled
                    .iter()
                    .filter(|(place, _)| *place == shard)
                    .map(|(_, id)| *id)
                    .collect(),
            };
            let empty =
                parcel.updates.is_none() && parcel.orders.is_empty() && parcel.settled.is_empty();
            (!empty).then(|| self.send_parcel(shard, parcel))
        });
        // If one shard fails, the others are still sent.
        join_all(parcels).await.into_iter().collect()
    }

    async fn send_parcel(&self, shard: u16, parcel: Parcel<'_>) -> Result<(), BusError> {
        let mut pipeline = Pipeline::new();
        let stream = self.names.stream(shard);
        let ShardChannel { link, turn, last, owed } = self.shard(shard);
        // Created before the lock, so that dropping this future at any point wakes `mend`.
        let debt = UnsentNumber(parcel.updates.as_ref().map(|_| owed));
        let turn = turn.lock().await;
        if let Some(updates) = parcel.updates {
            let number = last.fetch_add(1, Ordering::Relaxed) + 1;
            let channel = self.names.channel(shard);
            let message = UpdateBatch::encode(self.id, number, &updates);
            let message = self.keys.sign(&channel, message);
            pipeline.cmd(self.names.publish()).arg(channel).arg(message).ignore();
        }
        for order in parcel.orders {
            pipeline.cmd("XADD").arg(&stream).arg("*").arg(FIELD).arg(order.get()).ignore();
            if let Some((_, trace)) = parcel.traced.iter().find(|(id, _)| *id == order) {
                pipeline.arg(TRACE_FIELD).arg(trace.to_string());
            }
        }
        if !parcel.settled.is_empty() {
            pipeline.cmd("XACK").arg(&stream).arg(GROUP).arg(parcel.settled).ignore();
        }
        link.query::<Value>(&pipeline).await?;
        drop(turn);
        debt.settle();
        Ok(())
    }

    async fn send_empty(&self, shard: u16) -> Result<(), BusError> {
        self.send_parcel(
            shard,
            Parcel {
                updates: Some(Vec::new()),
                orders: Vec::new(),
                traced: &[],
                settled: Vec::new(),
            },
        )
        .await
    }

    fn shard(&self, shard: u16) -> &ShardChannel {
        &self.shards[usize::from(shard)]
    }
}

/// Publishes an empty message on a shard after a message was not sent, and retries until it
/// succeeds. For one task per shard.
pub(super) async fn mend(publisher: Arc<RedisPublisher>, shard: u16) {
    let mut backoff = Backoff::AWAY;
    loop {
        publisher.shard(shard).owed.notified().await;
        backoff.wait().await;
        // A failure notifies `owed` again.
        if publisher.send_empty(shard).await.is_ok() {
            backoff.reset();
        }
    }
}

/// Publishes the heartbeat on a shard every second, and on one of them that heroes or meals have
/// changed. A failure is not repeated: subscribers notice that the heartbeat is missing, and
/// gateways read changed heroes and meals anyway. For one task per shard.
pub(super) async fn live(publisher: Arc<RedisPublisher>, shard: u16) {
    let mut beats = tokio::time::interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = beats.tick() => publisher.outage.note(shard, &publisher.beat(shard).await),
            () = publisher.menu_changed.notified(), if shard == MENU_SHARD => {
                if let Err(error) = publisher.send_menu_message().await {
                    tracing::debug!(%error, "a change of heroes or meals was not published");
                }
            }
        }
    }
}
