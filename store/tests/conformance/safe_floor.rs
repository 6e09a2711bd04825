//! The floor, and what is forgotten.

use std::time::Duration;

use galley_protocol::{ListOrders, OfHero, PublisherId, Status};
use galley_store::{PlaceVerdict, RETENTION};

use crate::fresh_database::reopen;
use crate::test_kitchen::{TestKitchen, cancel, delete, request, until};

/// Lets the floor rise: whatever was assigned before is settled half a minute later.
pub(crate) async fn settle(kitchen: &TestKitchen) {
    kitchen.store.maintain().await.expect("it is maintained");
    pass(Duration::from_secs(31)).await;
    kitchen.store.maintain().await.expect("it is maintained");
    until("cursors name the floor", || async {
        let census = kitchen.store.census(PublisherId::new(1).expect("a number"), false).await;
        census.is_ok_and(|census| census.safe.floor == kitchen.store.floor())
    })
    .await;
}

/// Moves the clock of this process.
pub(crate) async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

on_both!(the_floor_rises_to_the_first_active_order);
async fn the_floor_rises_to_the_first_active_order(kitchen: TestKitchen) {
    let (hero_id, meal_id, worker) = kitchen.guest_and_worker().await;
    assert_eq!(kitchen.store.floor().get(), 1);
    let ended = kitchen.completed(worker, hero_id, meal_id).await;
    let started = kitchen.started(worker, hero_id, meal_id).await;
    kitchen.completed(worker, hero_id, meal_id).await;
    settle(&kitchen).await;
    assert!(kitchen.store.floor() > ended.id);
    assert_eq!(kitchen.store.floor(), started.id);
    kitchen.cancel(cancel(started.id)).await;
    settle(&kitchen).await;
    let next = kitchen.place(hero_id, meal_id).await;
    assert_eq!(kitchen.store.floor(), next.id);
}

on_both!(the_floor_survives_a_restart);
async fn the_floor_survives_a_restart(kitchen: TestKitchen) {
    let (hero_id, meal_id) = kitchen.guest().await;
    let order = kitchen.place_and_cancel(hero_id, meal_id).await;
    settle(&kitchen).await;
    let floor = kitchen.store.floor();
    assert!(floor > order.id);
    let TestKitchen { database, store } = kitchen;
    drop(store);
    assert_eq!(reopen(&database).await.floor(), floor);
}

on_both!(nothing_active_is_lost_below_the_floor);
async fn nothing_active_is_lost_below_the_floor(kitchen: TestKitchen) {
    let (hero_id, meal_id, worker) = kitchen.guest_and_worker().await;
    for order in kitchen.place_many(hero_id, meal_id, 3).await {
        kitchen.cancel(cancel(order.id)).await;
    }
    let started = kitchen.started(worker, hero_id, meal_id).await;
    settle(&kitchen).await;
    let command = ListOrders { status: vec![Status::InProgress], ..ListOrders::default() };
    assert_eq!(
        kitchen.store.orders(&OfHero { hero_id: None, command }).await.expect("a page").len(),
        1
    );
    assert!(kitchen.store.heroes().remove(hero_id, None).await.is_err());
    assert!(kitchen.store.meals().remove(meal_id, None).await.is_err());
    assert_eq!(kitchen.store.hand_back(worker).await.expect("a count"), 1);
    assert_eq!(kitchen.store.adopt(worker, 9).await.expect("adoptions")[0].order, started);
}

fn old(kitchen: &TestKitchen) -> String {
    kitchen.database.seconds_ago(RETENTION.as_secs() + 60)
}

on_both!(old_deleted_orders_are_forgotten);
async fn old_deleted_orders_are_forgotten(kitchen: TestKitchen) {
    let (hero_id, meal_id) = kitchen.guest().await;
    let orders = kitchen.place_many(hero_id, meal_id, 3).await;
    for order in &orders {
        kitchen.cancel(cancel(order.id)).await;
    }
    kitchen.delete(delete(orders[0].id)).await;
    kitchen.delete(delete(orders[1].id)).await;
    let past = old(&kitchen);
    let all = format!("order_time = {past}, completed_time = {past}");
    kitchen
        .database
        .sql(&format!("update orders set {all}, deleted_time = {past} where id = {}", orders[0].id))
        .await
        .expect("a past");
    kitchen
        .database
        .sql(&format!("update orders set {all} where id <> {}", orders[0].id))
        .await
        .expect("a past");
    kitchen.store.maintain().await.expect("it is maintained");
    let touched =
        kitchen.database.sql("update orders set adoptions = adoptions").await.expect("a count");
    assert_eq!(touched, 2, "the one deleted lately and the one not deleted stay");
}

on_both!(old_keys_are_forgotten_up_to_the_first_young_one);
async fn old_keys_are_forgotten_up_to_the_first_young_one(kitchen: TestKitchen) {
    let (hero_id, meal_id) = kitchen.guest().await;
    let requests =
        [request(hero_id, meal_id, Some("old")), request(hero_id, meal_id, Some("young"))];
    let first = kitchen.store.place(&requests).await.expect("verdicts");
    let PlaceVerdict::Placed(order) = &first[0] else { panic!("{first:?}") };
    let past = old(&kitchen);
    kitchen
        .database
        .sql(&format!("update orders set order_time = {past} where id = {}", order.id))
        .await
        .expect("a past");
    kitchen.store.maintain().await.expect("it is maintained");
    let again = kitchen.store.place(&requests).await.expect("verdicts");
    assert!(matches!(again[..], [PlaceVerdict::Placed(_), PlaceVerdict::Replayed(_)]), "{again:?}");
    kitchen.database.sql(&format!("update orders set order_time = {past}")).await.expect("a past");
    pass(Duration::from_mins(1)).await;
    kitchen.store.maintain().await.expect("it is maintained");
    let again = kitchen.store.place(&requests).await.expect("verdicts");
    assert!(matches!(again[..], [PlaceVerdict::Placed(_), PlaceVerdict::Placed(_)]), "{again:?}");
}
