//! A store, a bus, and workers on them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use galley_bus::{
    Bus, BusConfig, BusError, PendingOperation, Queue, SharedBus, Subscription, SubscriptionEvent,
    connect,
};
use galley_protocol::{IncarnationId, OrderId, PublisherId, ResumeCursor, Status, Update};
use galley_store::Store;
use galley_worker::{Worker, WorkerConfig, WorkerError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::shelf::Shelf;

/// A store and a bus.
pub struct WorkerScene {
    pub shelf: Arc<Shelf>,
    pub bus: SharedBus,
}

/// A running worker.
pub struct RunningWorker {
    stop: CancellationToken,
    task: JoinHandle<Result<(), WorkerError>>,
}

impl WorkerScene {
    pub async fn new() -> Self {
        let bus = connect(&BusConfig::default()).await.expect("it is within the process");
        Self { shelf: Arc::default(), bus }
    }

    /// Creates a scene, and a subscription to its bus.
    pub async fn with_subscription() -> (Self, Box<dyn Subscription>) {
        let scene = Self::new().await;
        let subscription = scene.bus.subscribe().await.expect("it is within the process");
        (scene, subscription)
    }

    /// Creates a scene whose bus always fails.
    pub async fn without_bus() -> Self {
        let scene = Self::new().await;
        Self { bus: Arc::new(NoBus(scene.bus)), ..scene }
    }

    /// Starts a worker; `delay` as on the command line.
    pub fn work(&self, delay: &str) -> RunningWorker {
        RunningWorker::start(delay, self.shelf.clone(), self.bus.clone())
    }

    /// Places new orders and puts them on the queue.
    pub async fn place(&self, count: i64) -> Vec<OrderId> {
        let ids = self.shelf.place_orders(count, Duration::ZERO);
        self.bus.publish(&[], &ids).await.expect("it is within the process");
        ids
    }

    /// Starts a worker without delay, and waits until these orders are completed.
    pub async fn work_off(&self, ids: &[OrderId]) {
        let _worker = self.work("0s");
        self.until_completed(ids).await;
    }

    /// Places new orders, and waits until a worker has taken all of them.
    pub async fn place_until_taken(&self, count: i64) -> Vec<OrderId> {
        let ids = self.place(count).await;
        self.shelf.until_all(&ids, |row| row.order.status == Status::InProgress).await;
        ids
    }

    /// Places new orders, and returns the time until all are completed.
    pub async fn complete(&self, count: i64) -> Duration {
        let began = Instant::now();
        let ids = self.place(count).await;
        self.until_completed(&ids).await;
        began.elapsed()
    }

    /// Waits until every order is completed, in its third version.
    pub async fn until_completed(&self, ids: &[OrderId]) {
        self.shelf.until_all(ids, |row| row.order.status == Status::Completed).await;
        assert!(ids.iter().all(|id| self.shelf.row(*id).order.version.0 == 3));
    }
}

impl RunningWorker {
    /// Starts a worker; `delay` as on the command line.
    pub fn start(delay: &str, store: Arc<dyn Store>, bus: SharedBus) -> Self {
        let config = WorkerConfig { processing_delay: delay.parse().expect("a delay") };
        let stop = CancellationToken::new();
        let worker = Worker::new(config, store, bus);
        Self { stop: stop.clone(), task: tokio::spawn(worker.run(stop)) }
    }

    /// Stops the worker and waits for its end.
    pub async fn stop(self) -> Result<(), WorkerError> {
        self.stop.cancel();
        self.ended().await
    }

    /// Waits until the worker ends by itself.
    pub async fn ended(self) -> Result<(), WorkerError> {
        tokio::time::timeout(Duration::from_secs(10), self.task)
            .await
            .expect("it ends in time")
            .expect("it does not panic")
    }
}

/// Receives updates until each order has reached this version. Returns the status by order and
/// version.
pub async fn hear(
    subscription: &mut dyn Subscription,
    ids: &[OrderId],
    version: i32,
) -> BTreeMap<(OrderId, i32), Status> {
    let mut heard = BTreeMap::new();
    let hearing = async {
        while !ids.iter().all(|id| heard.contains_key(&(*id, version))) {
            let SubscriptionEvent::Updates(batch) = subscription.next().await else {
                panic!("a gap")
            };
            heard.extend(batch.updates.iter().filter_map(|update| {
                let order = update.order_json().map(String::from_utf8_lossy);
                let says = |status: Status| {
                    order.is_some_and(|order| order.contains(&format!("\"status\":\"{status}\"")))
                };
                assert!(update.status.is_none_or(says));
                Some(((update.order_id, update.version.0), update.status?))
            }));
        }
    };
    tokio::time::timeout(Duration::from_secs(20), hearing).await.expect("it is heard");
    heard
}

/// An unreachable bus. Methods that do not need Redis work as in the inner one.
struct NoBus(SharedBus);

fn away<T>() -> Result<T, BusError> {
    Err(BusError::Unreachable("on command".to_owned()))
}

#[async_trait]
impl Bus for NoBus {
    async fn publish(&self, _: &[Update], _: &[OrderId]) -> Result<(), BusError> {
        away()
    }
    async fn queue(&self, _: IncarnationId) -> Result<Box<dyn Queue>, BusError> {
        away()
    }
    async fn subscribe(&self) -> Result<Box<dyn Subscription>, BusError> {
        away()
    }
    fn lose(&self) {}

    fn publisher(&self) -> PublisherId {
        self.0.publisher()
    }
    fn begin(&self) -> PendingOperation {
        self.0.begin()
    }
    fn mark(&self, safe: ResumeCursor) {
        self.0.mark(safe);
    }
    fn is_receiving(&self) -> bool {
        false
    }
    async fn leave(&self) {}

    async fn broken(&self) {
        self.0.broken().await;
    }
    async fn ping(&self) -> Result<(), BusError> {
        away()
    }
}
