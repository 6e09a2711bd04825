//! The low watermark, and forgetting.

use std::time::Duration;

use galley_protocol::{ListOrders, OfHero, PublisherId, Status};
use galley_store::{PlaceVerdict, RETENTION};

use crate::fresh_database::reopen;
use crate::test_store::{TestStore, cancel, delete, request, until};

/// Raises the low watermark: ids that were assigned before this call settle half a minute later.
pub(crate) async fn settle(test: &TestStore) {
    test.store.maintain().await.expect("maintenance succeeds");
    pass(Duration::from_secs(31)).await;
    test.store.maintain().await.expect("maintenance succeeds");
    until("cursors contain the low watermark", || async {
        let census = test.store.census(PublisherId::new(1).expect("a number"), false).await;
        census.is_ok_and(|census| census.safe.low_watermark == test.store.low_watermark())
    })
    .await;
}

/// Advances the clock of this process.
pub(crate) async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

on_both!(the_floor_rises_to_the_first_active_order);
async fn the_floor_rises_to_the_first_active_order(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    assert_eq!(test.store.low_watermark().get(), 1);
    let ended = test.completed(worker, hero_id, meal_id).await;
    let started = test.started(worker, hero_id, meal_id).await;
    test.completed(worker, hero_id, meal_id).await;
    settle(&test).await;
    assert!(test.store.low_watermark() > ended.id);
    assert_eq!(test.store.low_watermark(), started.id);
    test.cancel(cancel(started.id)).await;
    settle(&test).await;
    let next = test.place(hero_id, meal_id).await;
    assert_eq!(test.store.low_watermark(), next.id);
}

on_both!(the_floor_survives_a_restart);
async fn the_floor_survives_a_restart(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let order = test.place_and_cancel(hero_id, meal_id).await;
    settle(&test).await;
    let floor = test.store.low_watermark();
    assert!(floor > order.id);
    let TestStore { database, store } = test;
    drop(store);
    assert_eq!(reopen(&database).await.low_watermark(), floor);
}

on_both!(nothing_active_is_lost_below_the_floor);
async fn nothing_active_is_lost_below_the_floor(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    for order in test.place_many(hero_id, meal_id, 3).await {
        test.cancel(cancel(order.id)).await;
    }
    let started = test.started(worker, hero_id, meal_id).await;
    settle(&test).await;
    let command = ListOrders { status: vec![Status::InProgress], ..ListOrders::default() };
    let listed = test.store.orders(&OfHero { hero_id: None, command }).await.expect("a page");
    assert_eq!(listed.items.len(), 1);
    assert!(test.store.heroes().remove(hero_id, None).await.is_err());
    assert!(test.store.meals().remove(meal_id, None).await.is_err());
    assert_eq!(test.store.hand_back(worker).await.expect("a count"), 1);
    assert_eq!(test.store.adopt(worker, 9).await.expect("adoptions")[0].order, started);
}

fn old(test: &TestStore) -> String {
    test.database.seconds_ago(RETENTION.as_secs() + 60)
}

on_both!(old_deleted_orders_are_forgotten);
async fn old_deleted_orders_are_forgotten(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let orders = test.place_many(hero_id, meal_id, 3).await;
    for order in &orders {
        test.cancel(cancel(order.id)).await;
    }
    test.delete(delete(orders[0].id)).await;
    test.delete(delete(orders[1].id)).await;
    let past = old(&test);
    let all = format!("order_time = {past}, completed_time = {past}");
    test.database
        .sql(&format!("update orders set {all}, deleted_time = {past} where id = {}", orders[0].id))
        .await
        .expect("past times are set");
    test.database
        .sql(&format!("update orders set {all} where id <> {}", orders[0].id))
        .await
        .expect("past times are set");
    test.store.maintain().await.expect("maintenance succeeds");
    let touched =
        test.database.sql("update orders set adoptions = adoptions").await.expect("a count");
    assert_eq!(touched, 2, "the order deleted lately and the one not deleted stay");
}

on_both!(old_keys_are_forgotten_up_to_the_first_young_one);
async fn old_keys_are_forgotten_up_to_the_first_young_one(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let requests =
        [request(hero_id, meal_id, Some("old")), request(hero_id, meal_id, Some("young"))];
    let first = test.store.place(&requests).await.expect("verdicts");
    let PlaceVerdict::Placed(order) = &first[0] else { panic!("{first:?}") };
    let past = old(&test);
    test.database
        .sql(&format!("update orders set order_time = {past} where id = {}", order.id))
        .await
        .expect("past times are set");
    test.store.maintain().await.expect("maintenance succeeds");
    let again = test.store.place(&requests).await.expect("verdicts");
    assert!(matches!(again[..], [PlaceVerdict::Placed(_), PlaceVerdict::Replayed(_)]), "{again:?}");
    test.database
        .sql(&format!("update orders set order_time = {past}"))
        .await
        .expect("past times are set");
    pass(Duration::from_mins(1)).await;
    test.store.maintain().await.expect("maintenance succeeds");
    let again = test.store.place(&requests).await.expect("verdicts");
    assert!(matches!(again[..], [PlaceVerdict::Placed(_), PlaceVerdict::Placed(_)]), "{again:?}");
}
