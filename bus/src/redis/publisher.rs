//! Writes to Redis: entries, updates and acknowledgements, one pipeline per shard.
//!
//! Each message on a channel carries this publisher's next number. The number is taken and the message sent under one lock, so
//! that numbers arrive in order. A number whose message did not go out leaves a hole that listeners notice with the next one; so
//! that they need not wait for it, [`mend`] publishes an empty message as soon as Redis takes it. [`live`] publishes the heartbeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::try_join_all;
use galley_fail_points::{FailPoint, is_next, reach};
use galley_protocol::{OrderId, Update, UpdateBatch};
use redis::{Pipeline, Value};
use tokio::sync::{Mutex, Notify};
use tokio::time::MissedTickBehavior;

use super::link::Link;
use super::names::{FIELD, GROUP, Names};
use super::outage::Outage;
use super::probe::{BEAT, Probe};
use crate::{Backoff, BusError};

/// Writes to Redis.
pub(super) struct Publisher {
    link: Arc<Link>,
    names: Names,
    id: u64,
    /// One for each shard.
    counters: Vec<Counter>,
    /// A message did not go out.
    owed: Notify,
}

/// The numbers of one shard.
#[derive(Default)]
struct Counter {
    /// Held from taking a number until its message is sent.
    turn: Mutex<()>,
    last: AtomicU64,
}

/// What goes to one shard at once, in this order.
struct Parcel<'a> {
    updates: Option<Vec<Update>>,
    orders: Vec<OrderId>,
    settled: Vec<&'a str>,
}

/// Calls the mender unless the message went out, even when its sender is dropped while it waits.
struct Debt<'a>(Option<&'a Notify>);

impl Debt<'_> {
    fn settle(mut self) {
        self.0 = None;
    }
}

impl Drop for Debt<'_> {
    fn drop(&mut self) {
        if let Some(owed) = self.0 {
            owed.notify_one();
        }
    }
}

impl Publisher {
    /// A publisher with a random name, that has said nothing yet.
    pub(super) fn new(link: Arc<Link>, names: Names) -> Self {
        let counters = names.shards().map(|_| Counter::default()).collect();
        Self { link, names, id: rand::random(), counters, owed: Notify::new() }
    }

    /// Whose messages these are.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Publishes updates, then adds entries to the queue.
    pub(super) async fn announce(&self, updates: &[Update], orders: &[OrderId]) -> Result<(), BusError> {
        self.send(updates, orders, &[]).await
    }

    /// Publishes updates, then acknowledges entries, each by its shard and its id in the stream.
    pub(super) async fn settle(&self, settled: &[(u16, &str)], updates: &[Update]) -> Result<(), BusError> {
        if !updates.is_empty() && is_next(FailPoint::AfterClaimPublish) {
            // One pipeline has no place to end in between: here it goes in two halves.
            self.send(updates, &[], &[]).await?;
            reach(FailPoint::AfterClaimPublish);
            return self.send(&[], &[], settled).await;
        }
        self.send(updates, &[], settled).await
    }

    /// Something that should have been published never will be: leaves a hole on every channel.
    pub(super) fn lose(&self) {
        for counter in &self.counters {
            counter.last.fetch_add(1, Ordering::Relaxed);
        }
        self.owed.notify_one();
    }

    /// Publishes the heartbeat.
    pub(super) async fn beat(&self) -> Result<(), BusError> {
        let numbers = self.counters.iter().map(|counter| counter.last.load(Ordering::Relaxed)).collect();
        let message = Probe { publisher: self.id, numbers }.encode();
        let mut pipeline = Pipeline::new();
        pipeline.cmd(self.names.publish()).arg(self.names.probes()).arg(message).ignore();
        self.link.query::<Value>(&pipeline).await.map(drop)
    }

    async fn send(&self, updates: &[Update], orders: &[OrderId], settled: &[(u16, &str)]) -> Result<(), BusError> {
        let parcels = self.names.shards().filter_map(|shard| {
            let mine = |update: &&Update| self.names.shard_of_hero(update.hero_id) == shard;
            let updates: Vec<Update> = updates.iter().filter(mine).cloned().collect();
            let parcel = Parcel {
                updates: (!updates.is_empty()).then_some(updates),
                orders: orders.iter().copied().filter(|id| self.names.shard_of_order(*id) == shard).collect(),
                settled: settled.iter().filter(|(place, _)| *place == shard).map(|(_, id)| *id).collect(),
            };
            let empty = parcel.updates.is_none() && parcel.orders.is_empty() && parcel.settled.is_empty();
            (!empty).then(|| self.send_parcel(shard, parcel))
        });
        try_join_all(parcels).await.map(drop)
    }

    async fn send_parcel(&self, shard: u16, parcel: Parcel<'_>) -> Result<(), BusError> {
        let mut pipeline = Pipeline::new();
        let stream = self.names.stream(shard);
        let debt = Debt(parcel.updates.as_ref().map(|_| &self.owed));
        let counter = &self.counters[usize::from(shard)];
        let turn = counter.turn.lock().await;
        if let Some(updates) = parcel.updates {
            let number = counter.last.fetch_add(1, Ordering::Relaxed) + 1;
            let message = UpdateBatch::encode(self.id, number, &updates);
            pipeline.cmd(self.names.publish()).arg(self.names.channel(shard)).arg(message).ignore();
        }
        for order in parcel.orders {
            pipeline.cmd("XADD").arg(&stream).arg("*").arg(FIELD).arg(order.get()).ignore();
        }
        if !parcel.settled.is_empty() {
            pipeline.cmd("XACK").arg(&stream).arg(GROUP).arg(parcel.settled).ignore();
        }
        self.link.query::<Value>(&pipeline).await?;
        drop(turn);
        debt.settle();
        Ok(())
    }

    async fn send_empty(&self) -> Result<(), BusError> {
        let empty = || Parcel { updates: Some(Vec::new()), orders: Vec::new(), settled: Vec::new() };
        try_join_all(self.names.shards().map(|shard| self.send_parcel(shard, empty()))).await.map(drop)
    }
}

/// Publishes an empty message on each channel after one did not go out, until it does. For one task.
pub(super) async fn mend(publisher: Arc<Publisher>) {
    let mut backoff = Backoff::AWAY;
    loop {
        publisher.owed.notified().await;
        backoff.wait().await;
        if publisher.send_empty().await.is_ok() {
            backoff.reset();
        }
    }
}

/// Publishes the heartbeat every second; one that does not go out is missed by those who listen. For one task.
pub(super) async fn live(publisher: Arc<Publisher>) {
    let mut beats = tokio::time::interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let outage = Outage::default();
    loop {
        beats.tick().await;
        outage.note(&publisher.beat().await);
    }
}
