//! A clock that was set back, so that rows hold future times, delays nobody and loses nothing.

use std::time::Duration;

use galley_store::{Claim, ClaimFrom, IdRange};

use crate::fresh_database::reopen;
use crate::test_store::{LONG, TestStore, cancel, delete, entries};

/// Simulates a clock that was set back by an hour: moves the times of all rows an hour ahead.
async fn set_back(test: &TestStore) {
    let hour = if test.database.is_sqlite() { "3600000" } else { "interval '1 hour'" };
    let columns = ["order_time", "started_time", "completed_time", "due_at"];
    let later: Vec<String> =
        columns.iter().map(|column| format!("{column} = {column} + {hour}")).collect();
    test.database
        .sql(&format!("update orders set {}", later.join(", ")))
        .await
        .expect("future times are set");
}

/// Returns true for nearly the whole [`LONG`] preparation time of each order.
fn is_long(due_in: Duration) -> bool {
    due_in > LONG / 2 && due_in <= LONG
}

on_both!(an_order_adopted_from_the_dead_waits_no_longer_than_its_preparation_takes);
async fn an_order_adopted_from_the_dead_waits_no_longer_than_its_preparation_takes(
    test: TestStore,
) {
    let (hero_id, meal_id) = test.guest().await;
    let dead = test.worker().await;
    let order = test.started(dead, hero_id, meal_id).await;
    set_back(&test).await;
    let TestStore { database, store } = test;
    drop(store);
    let test = TestStore { store: reopen(&database).await, database };
    let heir = test.worker().await;
    let adopted = test.adopt_some(heir).await;
    assert!(is_long(adopted[0].due_in), "{adopted:?}");
    assert_eq!(test.store.complete(heir, &[order.id]).await.expect("completions").len(), 1);
}

on_both!(an_order_handed_back_waits_no_longer_than_its_preparation_takes);
async fn an_order_handed_back_waits_no_longer_than_its_preparation_takes(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let (one, other) = (test.worker().await, test.worker().await);
    test.started(one, hero_id, meal_id).await;
    set_back(&test).await;
    assert_eq!(test.store.hand_back(one).await.expect("a count"), 1);
    let adopted = test.store.adopt(other, 100).await.expect("adoptions");
    assert!(is_long(adopted[0].due_in), "{adopted:?}");
}

on_both!(an_order_from_a_time_to_come_is_claimed_and_waits_no_longer_than_its_preparation_takes);
async fn an_order_from_a_time_to_come_is_claimed_and_waits_no_longer_than_its_preparation_takes(
    test: TestStore,
) {
    let (hero_id, meal_id) = test.guest().await;
    let (one, other) = (test.worker().await, test.worker().await);
    let order = test.place(hero_id, meal_id).await;
    set_back(&test).await;
    let claimed = test.store.claim(one, entries(&[order.id], LONG..=LONG)).await.expect("claims");
    assert!(is_long(claimed[0].due_in), "{claimed:?}");
    test.store.hand_back(one).await.expect("a count");
    let adopted = test.store.adopt(other, 100).await.expect("adoptions");
    assert!(is_long(adopted[0].due_in), "{adopted:?}");
}

on_both!(an_order_from_a_time_to_come_is_found_without_the_queue);
async fn an_order_from_a_time_to_come_is_found_without_the_queue(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let order = test.place(hero_id, meal_id).await;
    let oldest = || {
        let from =
            ClaimFrom::Oldest { ids: IdRange::default(), age: Duration::from_mins(1), limit: 9 };
        Claim { from, delay: LONG..=LONG }
    };
    assert!(
        test.store.claim(worker, oldest()).await.expect("an answer").is_empty(),
        "the order is too young"
    );
    set_back(&test).await;
    let claimed = test.store.claim(worker, oldest()).await.expect("claims");
    assert_eq!(claimed.iter().map(|claimed| claimed.order.id).collect::<Vec<_>>(), [order.id]);
}

on_both!(orders_from_a_time_to_come_end_and_are_deleted);
async fn orders_from_a_time_to_come_end_and_are_deleted(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let started = test.started(worker, hero_id, meal_id).await;
    let pending = test.place(hero_id, meal_id).await;
    let completed = test.completed(worker, hero_id, meal_id).await;
    set_back(&test).await;
    test.store.complete(worker, &[started.id]).await.expect("completions");
    test.cancel(cancel(pending.id)).await;
    for order in [started, pending, completed] {
        test.delete(delete(order.id)).await;
        assert_eq!(test.order(order.id).await, None);
    }
    test.store.maintain().await.expect("maintenance succeeds");
}
