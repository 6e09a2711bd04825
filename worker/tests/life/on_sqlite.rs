//! Tests the life of orders on a real database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use galley_bus::{BusConfig, SharedBus};
use galley_protocol::{
    Allergy, Description, HeroName, Ingredient, MealName, NewHero, NewMeal, OfHero, Order, OrderId,
    PlaceOrder, Planet, Price, Reason, Status,
};
use galley_store::{MAX_BATCH, PlaceVerdict, Store};
use galley_worker::{Config, Worker, WorkerError};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::scene::hear;

struct Kitchen {
    store: Arc<dyn Store>,
    bus: SharedBus,
    _folder: TempDir,
}

impl Kitchen {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("galley.db").display());
        let store = galley_store::connect(&url).await.expect("a database");
        store.migrate().await.expect("a schema");
        let bus =
            galley_bus::connect(&BusConfig::default()).await.expect("it is within the process");
        Self { store, bus, _folder: folder }
    }

    /// Places orders of one meal by a hero with this allergy, and puts them on the queue.
    async fn place(&self, count: usize, allergy: &str) -> Vec<OrderId> {
        let hero = NewHero {
            name: HeroName::parse("Superman").expect("a name"),
            planet: Planet::parse("Krypton").expect("a planet"),
            allergies: vec![Allergy::parse(allergy).expect("an allergy")],
        };
        let meal = NewMeal {
            name: MealName::parse("Pad Thai").expect("a name"),
            ingredients: vec![Ingredient::parse("Peanut").expect("an ingredient")],
            price: Price::from_hundredths(990).expect("a price"),
            origin_planet: Planet::parse("Earth").expect("a planet"),
            description: Description::default(),
        };
        let hero_id = self.store.create_hero(&hero).await.expect("a hero").id;
        let meal_id = self.store.create_meal(&meal).await.expect("a meal").id;
        let requests = vec![OfHero { hero_id, command: PlaceOrder { meal_id, key: None } }; count];
        let mut ids = Vec::new();
        for batch in requests.chunks(MAX_BATCH) {
            for verdict in self.store.place(batch).await.expect("verdicts") {
                let PlaceVerdict::Placed(order) = verdict else { panic!("{verdict:?}") };
                ids.push(order.id);
            }
        }
        self.bus.announce(&[], &ids).await.expect("it is within the process");
        ids
    }

    fn work(&self, delay: &str) -> (CancellationToken, JoinHandle<Result<(), WorkerError>>) {
        let config = Config { processing_delay: delay.parse().expect("a delay") };
        let stop = CancellationToken::new();
        let task = tokio::spawn(
            Worker::new(config, self.store.clone(), self.bus.clone()).run(stop.clone()),
        );
        (stop, task)
    }

    async fn order(&self, id: OrderId) -> Order {
        self.store.order(id).await.expect("an answer").expect("it was placed").view.order
    }
}

#[tokio::test]
async fn thousands_of_orders_are_completed() {
    let kitchen = Kitchen::new().await;
    let mut subscription = kitchen.bus.subscribe().await.expect("it is within the process");
    let ids = kitchen.place(5_000, "kryptonite").await;
    let began = Instant::now();
    let (stop, task) = kitchen.work("0s");
    hear(&mut *subscription, &ids, 3).await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let order = kitchen.order(ids[0]).await;
    assert_eq!((order.status, order.version.0), (Status::Completed, 3));
    stop.cancel();
    task.await.expect("it does not panic").expect("it was told to stop");
}

#[tokio::test]
async fn a_conflict_cancels() {
    let kitchen = Kitchen::new().await;
    let mut subscription = kitchen.bus.subscribe().await.expect("it is within the process");
    let ids = kitchen.place(1, "  PEANUT ").await;
    let (_stop, _task) = kitchen.work("1h");
    let heard = hear(&mut *subscription, &ids, 3).await;
    assert_eq!((heard[&(ids[0], 2)], heard[&(ids[0], 3)]), (Status::InProgress, Status::Cancelled));
    let order = kitchen.order(ids[0]).await;
    assert_eq!(
        (order.reason, order.message.as_deref()),
        (Some(Reason::Allergy), Some("Allergy conflict: Peanut"))
    );
}

#[tokio::test]
async fn what_one_worker_hands_back_the_next_completes() {
    let kitchen = Kitchen::new().await;
    let mut subscription = kitchen.bus.subscribe().await.expect("it is within the process");
    let ids = kitchen.place(100, "kryptonite").await;
    let (stop, task) = kitchen.work("2s");
    hear(&mut *subscription, &ids, 2).await;
    stop.cancel();
    task.await.expect("it does not panic").expect("it was told to stop");
    assert_eq!(kitchen.order(ids[0]).await.status, Status::InProgress);
    let (_stop, _task) = kitchen.work("1h");
    hear(&mut *subscription, &ids, 3).await;
}
