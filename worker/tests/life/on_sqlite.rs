//! Tests the life of orders on a real database.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use galley_bus::{BusConfig, SharedBus, Subscription};
use galley_protocol::{
    Allergy, Description, HeroName, Ingredient, MealName, NewHero, NewMeal, OfHero, Order, OrderId,
    PlaceOrder, Planet, Price, Reason, Status,
};
use galley_store::{MAX_BATCH, PlaceVerdict, Store};
use tempfile::TempDir;

use crate::worker_scene::{RunningWorker, hear};

struct SqliteKitchen {
    store: Arc<dyn Store>,
    bus: SharedBus,
    subscription: Box<dyn Subscription>,
    _folder: TempDir,
}

impl SqliteKitchen {
    async fn new() -> Self {
        let bus =
            galley_bus::connect(&BusConfig::default()).await.expect("it is within the process");
        let subscription = bus.subscribe().await.expect("it is within the process");
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("galley.db").display());
        let store = galley_store::connect(&url).await.expect("a database");
        store.migrate().await.expect("a schema");
        Self { store, bus, subscription, _folder: folder }
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
        let hero_id = self.store.heroes().create(&hero).await.expect("a hero").id;
        let meal_id = self.store.meals().create(&meal).await.expect("a meal").id;
        let requests = vec![OfHero { hero_id, command: PlaceOrder::of(meal_id) }; count];
        let mut ids = Vec::new();
        for batch in requests.chunks(MAX_BATCH) {
            for verdict in self.store.place(batch).await.expect("verdicts") {
                let PlaceVerdict::Placed(order) = verdict else { panic!("{verdict:?}") };
                ids.push(order.id);
            }
        }
        self.bus.publish(&[], &ids).await.expect("it is within the process");
        ids
    }

    fn work(&self, delay: &str) -> RunningWorker {
        RunningWorker::start(delay, self.store.clone(), self.bus.clone())
    }

    async fn hear(&mut self, ids: &[OrderId], version: i32) -> BTreeMap<(OrderId, i32), Status> {
        hear(&mut *self.subscription, ids, version).await
    }

    async fn order(&self, id: OrderId) -> Order {
        self.store.order(id).await.expect("an answer").expect("it was placed").view.order
    }
}

#[tokio::test]
async fn thousands_of_orders_are_completed() {
    let mut state = SqliteKitchen::new().await;
    let ids = state.place(5_000, "kryptonite").await;
    let began = Instant::now();
    let worker = state.work("0s");
    state.hear(&ids, 3).await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let order = state.order(ids[0]).await;
    assert_eq!((order.status, order.version.0), (Status::Completed, 3));
    worker.stop().await.expect("it was told to stop");
}

#[tokio::test]
async fn a_conflict_cancels() {
    let mut state = SqliteKitchen::new().await;
    let ids = state.place(1, "  PEANUT ").await;
    let _worker = state.work("1h");
    let heard = state.hear(&ids, 3).await;
    assert_eq!((heard[&(ids[0], 2)], heard[&(ids[0], 3)]), (Status::InProgress, Status::Cancelled));
    let order = state.order(ids[0]).await;
    assert_eq!(
        (order.reason, order.message.as_deref()),
        (Some(Reason::Allergy), Some("Allergy conflict: Peanut"))
    );
}

#[tokio::test]
async fn what_one_worker_hands_back_the_next_completes() {
    let mut state = SqliteKitchen::new().await;
    let ids = state.place(100, "kryptonite").await;
    let worker = state.work("2s");
    state.hear(&ids, 2).await;
    worker.stop().await.expect("it was told to stop");
    assert_eq!(state.order(ids[0]).await.status, Status::InProgress);
    let _worker = state.work("1h");
    state.hear(&ids, 3).await;
}
