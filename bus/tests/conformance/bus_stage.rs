//! A bus to play on.

use std::time::Duration;

use galley_bus::{
    BusConfig, Entry, Queue, SharedBus, Subscription, SubscriptionEvent, Timing, connect_with,
};
use galley_protocol::{
    HeroId, IncarnationId, OrderId, PublisherId, ResumeCursor, Status, Timestamp, Update, Version,
};

use crate::redis_process::{LONG, RedisProcess};

/// The kinds of buses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum BusKind {
    Local,
    Redis,
    Cluster,
}

/// A bus with a fresh namespace, and what is needed to reach it once more.
pub struct BusStage {
    pub bus: SharedBus,
    config: BusConfig,
    timing: Timing,
    _cluster: Vec<RedisProcess>,
}

impl BusStage {
    pub async fn new(kind: BusKind) -> Self {
        Self::with(kind, Timing::default()).await
    }

    /// One on which entries that nobody settles come back soon.
    pub async fn impatient(kind: BusKind) -> Self {
        let timing = Timing {
            reclaim_after: Duration::from_millis(200),
            upkeep_every: Duration::from_millis(100),
        };
        Self::with(kind, timing).await
    }

    async fn with(kind: BusKind, timing: Timing) -> Self {
        let cluster =
            if kind == BusKind::Cluster { RedisProcess::start_cluster().await } else { Vec::new() };
        let url = match kind {
            BusKind::Local => None,
            BusKind::Redis => Some(
                std::env::var("GALLEY_TEST_REDIS")
                    .expect("GALLEY_TEST_REDIS must be the URL of a Redis"),
            ),
            BusKind::Cluster => {
                Some(cluster.iter().map(RedisProcess::url).collect::<Vec<_>>().join(","))
            }
        };
        Self { _cluster: cluster, ..Self::at(url, timing).await }
    }

    /// On a server of the test's own, which it may break.
    pub async fn on_own_redis() -> (RedisProcess, Self) {
        let server = RedisProcess::start();
        let stage = Self::at(Some(server.url()), Timing::default()).await;
        (server, stage)
    }

    async fn at(url: Option<String>, timing: Timing) -> Self {
        let namespace = format!("test:{:016x}", rand::random::<u64>());
        let config = BusConfig { url, namespace, ..BusConfig::default() };
        Self { bus: connect(&config, timing).await, config, timing, _cluster: Vec::new() }
    }

    /// The bus as another process has it; there is none where it is within the process.
    pub async fn another_bus(&self) -> SharedBus {
        if self.config.url.is_some() {
            connect(&self.config, self.timing).await
        } else {
            self.bus.clone()
        }
    }

    /// The bus as a process has it that knows one node of the cluster.
    pub async fn by_one_node(&self) -> SharedBus {
        let nodes = self.config.url.as_deref().expect("this bus is on Redis");
        let url = nodes.split(',').next().map(str::to_owned);
        connect(&BusConfig { url, ..self.config.clone() }, self.timing).await
    }

    /// The stream and the channel, on one server.
    pub fn names(&self) -> (String, String) {
        let namespace = &self.config.namespace;
        (format!("{namespace}:orders:{{00}}"), format!("{namespace}:updates:{{00}}"))
    }

    /// Notes that a process of the version before lives.
    pub fn meet_the_version_before(&self) {
        self.config.keys.allow_unsigned([publisher(7)].into());
    }

    /// Signs a message as a process of this service does.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.config.keys.sign(&self.names().1, message.to_vec())
    }

    /// Runs a command on the Redis of this bus.
    pub async fn raw(&self, command: &mut redis::Cmd) -> redis::Value {
        let url = self.config.url.clone().expect("this bus is on Redis");
        let client = redis::Client::open(url).expect("a URL");
        let mut connection =
            client.get_multiplexed_async_connection().await.expect("it is running");
        command.query_async(&mut connection).await.expect("an answer")
    }

    /// A queue for a worker of this number.
    pub async fn queue(&self, worker: i64) -> Box<dyn Queue> {
        self.bus.queue(IncarnationId::new(worker).expect("an id")).await.expect("a queue")
    }
}

async fn connect(config: &BusConfig, timing: Timing) -> SharedBus {
    connect_with(config, timing).await.expect("Redis answers")
}

pub fn order(id: i64) -> OrderId {
    OrderId::new(id).expect("an id")
}

pub fn publisher(id: i32) -> PublisherId {
    PublisherId::new(id).expect("an id")
}

/// A cursor that is later the greater the number is.
pub fn cursor(number: i64) -> ResumeCursor {
    ResumeCursor { time: Timestamp::EPOCH, low_watermark: OrderId::FIRST, position: number }
}

/// An update for hero 1.
pub fn update(id: i64) -> Update {
    update_of(1, id, 0)
}

/// An update whose frame has so many bytes more than it needs.
pub fn update_of(hero: i64, id: i64, size: usize) -> Update {
    let hero_id = HeroId::new(hero).expect("an id");
    let time = Timestamp::from_millis(id).expect("in range");
    let json = format!(r#"{{"id":{id},"hero_id":{hero},"version":1,"status":"PENDING"}}"#);
    let more = "x".repeat(size);
    let frame = format!(r#"{{"type":"order","order":{json},"more":"{more}"}}"#).into();
    Update {
        hero_id,
        order_id: order(id),
        version: Version::FIRST,
        status: Some(Status::Pending),
        time,
        frame,
        trace: None,
    }
}

/// Reads until so many entries have come, and no longer than it takes.
pub async fn take(queue: &mut dyn Queue, count: usize) -> Vec<Entry> {
    let all = async {
        let mut entries = Vec::new();
        while entries.len() < count {
            entries.extend(queue.next(count - entries.len()).await.unwrap_or_default());
        }
        entries
    };
    tokio::time::timeout(LONG, all).await.expect("the entries come")
}

/// The orders of entries, sorted.
pub fn ids(entries: &[Entry]) -> Vec<i64> {
    let mut ids: Vec<i64> = entries.iter().map(|entry| entry.order_id.get()).collect();
    ids.sort_unstable();
    ids
}

pub async fn hear(subscription: &mut dyn Subscription) -> SubscriptionEvent {
    tokio::time::timeout(LONG, subscription.next()).await.expect("something is heard")
}

/// The orders of the next updates, whatever gaps come before.
pub async fn hear_updates(subscription: &mut dyn Subscription) -> Vec<i64> {
    hear_batch(subscription).await.iter().map(|update| update.order_id.get()).collect()
}

/// The next updates, whatever gaps come before.
pub async fn hear_batch(subscription: &mut dyn Subscription) -> Vec<Update> {
    loop {
        if let SubscriptionEvent::Updates(batch) = hear(subscription).await {
            return batch.updates;
        }
    }
}

/// Hears until a gap.
pub async fn hear_gap(subscription: &mut dyn Subscription) {
    while !matches!(hear(subscription).await, SubscriptionEvent::Gap { .. }) {}
}

/// The next thing to hear is a gap.
pub async fn hear_a_gap_at_once(subscription: &mut dyn Subscription) {
    let heard = hear(subscription).await;
    assert!(matches!(heard, SubscriptionEvent::Gap { .. }), "{heard:?}");
}

/// Asks until it is so.
pub async fn eventually(is_so: impl AsyncFn() -> bool) {
    let asking = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        while !is_so().await {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(LONG, asking).await.expect("it becomes so");
}
