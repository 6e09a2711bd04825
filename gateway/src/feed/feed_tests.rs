//! Tests of watchers with a real database.

use std::collections::BTreeSet;
use std::sync::Arc;

use galley_protocol::{
    CancelOrder, HeroId, NewHero, NewMeal, OfHero, Order, PlaceOrder, ResumeCursor, Update, Watch,
};
use galley_store::{MAX_BATCH, PlaceVerdict, Store};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use super::{Begin, FeedDue, Watcher};
use crate::hub::Hub;
use crate::totals_cache::TotalsCache;
use crate::unit_test_store::unit_test_store;

struct FeedScene {
    store: Arc<dyn Store>,
    hub: Hub,
    totals: TotalsCache,
    _directory: TempDir,
}

impl FeedScene {
    async fn set() -> Self {
        let (store, directory) = unit_test_store().await;
        let hub = Hub::new(store.cursor_keys().clone());
        Self { store, hub, totals: TotalsCache::default(), _directory: directory }
    }

    async fn place(&self, orders: usize) -> Vec<Order> {
        let hero = NewHero::from_json(json!({"name": "Zoé", "planet": "Earth"})).expect("a hero");
        let meal = NewMeal::from_json(json!({"name": "Soup", "price": 1, "origin_planet": "Mars"}))
            .expect("a meal");
        let hero_id = self.store.heroes().create(&hero).await.expect("created").id;
        let meal_id = self.store.meals().create(&meal).await.expect("created").id;
        let mut placed = Vec::new();
        while placed.len() < orders {
            let batch = MAX_BATCH.min(orders - placed.len());
            let requests = vec![OfHero { hero_id, command: PlaceOrder::of(meal_id) }; batch];
            for verdict in self.store.place(&requests).await.expect("verdicts") {
                let PlaceVerdict::Placed(order) = verdict else { panic!("{verdict:?}") };
                placed.push(order);
            }
        }
        placed
    }

    fn watch(&self, cursor: ResumeCursor, resumes: bool) -> Watcher {
        let begin = Begin { told: None, cursor: Some(cursor), resumes };
        self.hub.watch(Arc::clone(&self.store), Watch::all(Some(50)), begin)
    }

    /// Returns the next frame, and its tick if it came in one.
    async fn frame(&self, watcher: &mut Watcher) -> (Value, Option<Instant>) {
        loop {
            let due = watcher.due().await;
            let tick = if let FeedDue::Tick(tick) = due { Some(tick) } else { None };
            if let Some(told) = watcher.frame(due, &self.totals).await {
                return (serde_json::from_slice(&told.text).expect("JSON"), tick);
            }
        }
    }
}

fn ids(frame: &Value) -> impl Iterator<Item = i64> {
    frame["orders"]
        .as_array()
        .expect("orders")
        .iter()
        .map(|order| order["id"].as_i64().expect("an id"))
}

#[tokio::test]
async fn what_was_lost_follows_after_a_frame_that_says_so() {
    let scene = FeedScene::set().await;
    let since = scene.store.present().await.expect("a cursor");
    let mut watcher = scene.watch(since, false);
    let orders = scene.place(1_100).await;
    let heard = Update::of(&orders[0]);
    scene.hub.deliver(std::slice::from_ref(&heard)).await;
    scene.hub.feed().lose();
    scene.hub.advance(scene.store.present().await.expect("a cursor"));

    let (mut seen, mut frames) = (BTreeSet::new(), Vec::new());
    while frames.last().is_none_or(|frame: &Value| frame["cursor"].is_null()) {
        let (frame, _) = scene.frame(&mut watcher).await;
        seen.extend(ids(&frame));
        frames.push(frame);
    }
    assert!(seen.into_iter().eq(orders.iter().map(|order| order.id.get())));
    let gaps: Vec<_> = frames.iter().map(|frame| frame["gap"] == true).collect();
    assert!(gaps[0] && gaps[1..].iter().all(|gap| !gap), "{gaps:?}");
}

#[tokio::test]
async fn who_resumes_is_told_first_what_changed_meanwhile() {
    let scene = FeedScene::set().await;
    let others = scene.watch(scene.store.present().await.expect("a cursor"), false);
    let since = scene.store.present().await.expect("a cursor");
    let away = scene.place(3).await;
    let updates: Vec<_> = away.iter().map(Update::of).collect();
    scene.hub.deliver(&updates).await;
    let mut watcher = scene.watch(since, true);
    let new = scene.place(1).await;
    scene.hub.deliver(&[Update::of(&new[0])]).await;

    let (first, tick) = scene.frame(&mut watcher).await;
    let told: BTreeSet<_> = ids(&first).collect();
    assert!(tick.is_none() && away.iter().all(|order| told.contains(&order.id.get())), "{first}");
    let (second, _) = scene.frame(&mut watcher).await;
    assert!(ids(&second).eq([new[0].id.get()]), "{second}");
    drop(others);
}

#[tokio::test]
async fn nothing_older_follows_what_was_read() {
    let scene = FeedScene::set().await;
    let mut watcher = scene.watch(scene.store.present().await.expect("a cursor"), true);
    let placed = scene.place(2).await;
    let cancel = |order: &Order| {
        let command = CancelOrder { order_id: order.id, reason: None, expected: None };
        OfHero { hero_id: None, command }
    };
    scene.store.cancel(&placed.iter().map(cancel).collect::<Vec<_>>()).await.expect("verdicts");
    // The update of the first order arrives before the page is read, that of the second after it.
    let [before, after] = [0, 1].map(|at| Update::of(&placed[at]));
    scene.hub.deliver(&[before]).await;
    let mut newest = std::collections::BTreeMap::new();
    let mut note = |frame: &Value| {
        for order in frame["orders"].as_array().expect("orders") {
            let (id, version) = (order["id"].as_i64(), order["version"].as_i64());
            assert!(newest.insert(id, version).is_none_or(|told| told <= version), "{frame}");
        }
        newest.values().filter(|version| **version == Some(2)).count()
    };
    note(&scene.frame(&mut watcher).await.0);
    scene.hub.deliver(&[after]).await;
    scene.hub.advance(scene.store.present().await.expect("a cursor"));
    while note(&scene.frame(&mut watcher).await.0) < 2 {}
    let last = scene.place(1).await;
    scene.hub.deliver(&[Update::of(&last[0])]).await;
    note(&scene.frame(&mut watcher).await.0);
}

#[tokio::test]
async fn who_is_behind_gets_several_frames_a_tick() {
    let scene = FeedScene::set().await;
    let mut watcher = scene.watch(scene.store.present().await.expect("a cursor"), false);
    let template = scene.place(1).await.remove(0);
    let order = |id| Order { id, hero_id: HeroId::FIRST, ..template.clone() };
    let updates: Vec<_> = (1..=3_000)
        .map(|id| Update::of(&order(galley_protocol::OrderId::new(id).expect("an id"))))
        .collect();
    scene.hub.deliver(&updates).await;
    let (mut told, mut ticks) = (0, BTreeSet::new());
    let mut frames = 0;
    while told < updates.len() {
        let (frame, tick) = scene.frame(&mut watcher).await;
        told += ids(&frame).count();
        ticks.extend(tick);
        frames += 1;
    }
    assert!(frames > 2 && ticks.len() == 1, "{frames} frames in {} ticks", ticks.len());
}
