//! A store for tests, with short forms of its operations.

use std::sync::Arc;
use std::time::Duration;

use galley_protocol::{
    Allergy, CancelOrder, DeleteOrder, Description, Hero, HeroId, HeroName, IdempotencyKey,
    IncarnationId, Ingredient, Meal, MealId, MealName, NewHero, NewMeal, OfHero, Order, OrderId,
    PlaceOrder, Planet, Price, ReasonText,
};
use galley_store::{CancelVerdict, Claim, ClaimFrom, Claimed, DeleteVerdict, PlaceVerdict, Store};

use crate::fresh_database::FreshDatabase;

/// A preparation time that no test reaches.
pub(crate) const LONG: Duration = Duration::from_mins(10);

pub(crate) struct TestStore {
    pub(crate) database: FreshDatabase,
    pub(crate) store: Arc<dyn Store>,
}

/// Waits up to 20 s until `is_so` returns true; `so` describes the condition.
pub(crate) async fn until<F: Future<Output = bool>>(so: &str, is_so: impl Fn() -> F) {
    let waited = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited).await.expect(so);
}

impl TestStore {
    /// Opens an empty database with an up-to-date schema.
    pub(crate) async fn in_house(database: FreshDatabase) -> Self {
        let store = database.open().await;
        store.migrate().await.expect("the schema can be created");
        Self { database, store }
    }

    pub(crate) async fn hero(&self, name: &str, allergies: &[&str]) -> Hero {
        self.store.heroes().create(&new_hero(name, allergies)).await.expect("a hero")
    }

    pub(crate) async fn meal(&self, name: &str, ingredients: &[&str]) -> Meal {
        self.store.meals().create(&new_meal(name, ingredients)).await.expect("a meal")
    }

    /// A hero, and a meal to which the hero is not allergic.
    pub(crate) async fn guest(&self) -> (HeroId, MealId) {
        (self.hero("Zoé", &[]).await.id, self.meal("Soup", &["water"]).await.id)
    }

    /// A hero, a meal and a worker.
    pub(crate) async fn guest_and_worker(&self) -> (HeroId, MealId, IncarnationId) {
        let (hero_id, meal_id) = self.guest().await;
        (hero_id, meal_id, self.worker().await)
    }

    /// Another process on the same database.
    pub(crate) async fn another_process(&self) -> Self {
        Self { store: self.database.open().await, database: self.database.clone() }
    }

    pub(crate) async fn place(&self, hero_id: HeroId, meal_id: MealId) -> Order {
        self.place_many(hero_id, meal_id, 1).await.remove(0)
    }

    pub(crate) async fn place_many(
        &self,
        hero_id: HeroId,
        meal_id: MealId,
        count: usize,
    ) -> Vec<Order> {
        let requests = vec![request(hero_id, meal_id, None); count];
        let verdicts = self.store.place(&requests).await.expect("orders");
        let order = |verdict| {
            if let PlaceVerdict::Placed(order) = verdict { order } else { panic!("{verdict:?}") }
        };
        verdicts.into_iter().map(order).collect()
    }

    pub(crate) async fn place_ids(
        &self,
        hero_id: HeroId,
        meal_id: MealId,
        count: usize,
    ) -> Vec<OrderId> {
        let orders = self.place_many(hero_id, meal_id, count).await;
        orders.into_iter().map(|order| order.id).collect()
    }

    pub(crate) async fn worker(&self) -> IncarnationId {
        self.store.enlist().await.expect("an incarnation")
    }

    pub(crate) async fn claim(&self, owner: IncarnationId, ids: &[OrderId]) -> Vec<Claimed> {
        let mut claimed = self.store.claim(owner, entries(ids, LONG..=LONG)).await.expect("claims");
        claimed.sort_by_key(|claimed| claimed.order.id);
        claimed
    }

    /// Places an order and cancels it. Returns the placed state.
    pub(crate) async fn place_and_cancel(&self, hero_id: HeroId, meal_id: MealId) -> Order {
        let order = self.place(hero_id, meal_id).await;
        self.cancel(cancel(order.id)).await;
        order
    }

    /// An order `IN_PROGRESS`.
    pub(crate) async fn started(
        &self,
        owner: IncarnationId,
        hero_id: HeroId,
        meal_id: MealId,
    ) -> Order {
        let order = self.place(hero_id, meal_id).await;
        self.claim(owner, &[order.id]).await.remove(0).order
    }

    /// An order COMPLETED.
    pub(crate) async fn completed(
        &self,
        owner: IncarnationId,
        hero_id: HeroId,
        meal_id: MealId,
    ) -> Order {
        let order = self.started(owner, hero_id, meal_id).await;
        self.store.complete(owner, &[order.id]).await.expect("completions").remove(0)
    }

    pub(crate) async fn cancel_all(&self, ids: &[OrderId]) {
        let requests: Vec<_> = ids.iter().copied().map(cancel).collect();
        self.store.cancel(&requests).await.expect("verdicts");
    }

    pub(crate) async fn cancel(&self, request: OfHero<CancelOrder>) -> CancelVerdict {
        self.store.cancel(&[request]).await.expect("verdicts").remove(0)
    }

    pub(crate) async fn delete(&self, request: OfHero<DeleteOrder>) -> DeleteVerdict {
        self.store.delete(&[request]).await.expect("verdicts").remove(0)
    }

    pub(crate) async fn order(&self, id: OrderId) -> Option<Order> {
        self.store.order(id).await.expect("an answer").map(|found| found.view.order)
    }

    /// Adopts repeatedly until there is an order: a dead owner's lock is released a moment after
    /// its death.
    pub(crate) async fn adopt_some(&self, owner: IncarnationId) -> Vec<Claimed> {
        let adopt = async {
            loop {
                let adopted = self.store.adopt(owner, 100).await.expect("adoptions");
                if !adopted.is_empty() {
                    return adopted;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), adopt)
            .await
            .expect("the owner's death is seen")
    }
}

pub(crate) fn new_hero(name: &str, allergies: &[&str]) -> NewHero {
    NewHero {
        name: HeroName::parse(name).expect("a name"),
        planet: Planet::parse("Earth").expect("a planet"),
        allergies: allergies
            .iter()
            .map(|allergy| Allergy::parse(allergy).expect("an allergy"))
            .collect(),
    }
}

pub(crate) fn new_meal(name: &str, ingredients: &[&str]) -> NewMeal {
    NewMeal {
        name: MealName::parse(name).expect("a name"),
        ingredients: ingredients
            .iter()
            .map(|ingredient| Ingredient::parse(ingredient).expect("an ingredient"))
            .collect(),
        price: Price::from_hundredths(1_999).expect("a price"),
        origin_planet: Planet::parse("Mars").expect("a planet"),
        description: Description::parse("two\nlines").expect("a description"),
    }
}

pub(crate) fn request(
    hero_id: HeroId,
    meal_id: MealId,
    key: Option<&str>,
) -> OfHero<PlaceOrder, HeroId> {
    let key = key.map(|key| IdempotencyKey::parse(key).expect("a key"));
    OfHero { hero_id, command: PlaceOrder { key, ..PlaceOrder::of(meal_id) } }
}

pub(crate) fn cancel(order_id: OrderId) -> OfHero<CancelOrder> {
    OfHero { hero_id: None, command: CancelOrder { order_id, reason: None, expected: None } }
}

pub(crate) fn delete(order_id: OrderId) -> OfHero<DeleteOrder> {
    OfHero { hero_id: None, command: DeleteOrder { order_id, expected: None } }
}

pub(crate) fn entries(ids: &[OrderId], delay: std::ops::RangeInclusive<Duration>) -> Claim<'_> {
    Claim { from: ClaimFrom::Entries(ids), delay }
}

pub(crate) fn text(text: &str) -> ReasonText {
    ReasonText::parse(text).expect("a text")
}
