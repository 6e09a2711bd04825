//! Orders of workers that died or handed them back.

use galley_protocol::{Reason, Status, Version};
use galley_store::{Incarnations, MAX_ADOPTIONS};

use crate::fresh_database::reopen;
use crate::store_census::{census, publisher};
use crate::test_store::{LONG, TestStore, cancel, until};

on_both!(an_incarnation_is_never_used_twice);
async fn an_incarnation_is_never_used_twice(test: TestStore) {
    let (one, two) = (test.worker().await, test.worker().await);
    let test = restart(test).await;
    let three = test.worker().await;
    assert!(one < two && two < three);
    let known = Incarnations { living: [three].into(), newest: Some(three) };
    until("only the new incarnation is alive", || async {
        test.store.incarnations().await.expect("an answer") == known
    })
    .await;
}

on_both!(the_living_and_the_newest_incarnation_are_told);
async fn the_living_and_the_newest_incarnation_are_told(test: TestStore) {
    assert_eq!(test.store.incarnations().await.expect("an answer"), Incarnations::default());
    let (one, two) = (test.worker().await, test.worker().await);
    let known = Incarnations { living: [one, two].into(), newest: Some(two) };
    assert_eq!(test.store.incarnations().await.expect("an answer"), known);
}

/// Replaces the process by another one.
async fn restart(test: TestStore) -> TestStore {
    let TestStore { database, store } = test;
    drop(store);
    let store = reopen(&database).await;
    TestStore { database, store }
}

on_both!(the_orders_of_a_living_owner_are_left_alone);
async fn the_orders_of_a_living_owner_are_left_alone(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let (one, other) = (test.worker().await, test.worker().await);
    let order = test.started(one, hero_id, meal_id).await;
    for worker in [one, other] {
        census(&*test.store, publisher(1), false).await;
        assert!(test.store.adopt(worker, 100).await.expect("an answer").is_empty());
    }
    assert_eq!(test.store.complete(one, &[order.id]).await.expect("completions").len(), 1);
}

on_both!(the_orders_of_a_dead_owner_are_adopted_with_their_due_time);
async fn the_orders_of_a_dead_owner_are_adopted_with_their_due_time(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let dead = test.worker().await;
    let order = test.started(dead, hero_id, meal_id).await;
    let overdue = test.started(dead, hero_id, meal_id).await;
    let past = test.database.seconds_ago(60);
    test.database
        .sql(&format!("update orders set due_at = {past} where id = {}", overdue.id))
        .await
        .expect("past times are set");
    let pending = test.place(hero_id, meal_id).await;
    let test = restart(test).await;
    let heir = test.worker().await;
    let mut adopted = test.adopt_some(heir).await;
    adopted.sort_by_key(|adopted| adopted.order.id);
    assert_eq!(
        adopted.iter().map(|adopted| adopted.order.clone()).collect::<Vec<_>>(),
        [order.clone(), overdue.clone()]
    );
    assert!(adopted[0].due_in > LONG / 2 && adopted[0].due_in <= LONG);
    assert!(adopted[1].due_in.is_zero());
    assert_eq!(
        test.store.complete(dead, &[order.id]).await.expect("an answer"),
        [],
        "the dead owner can change nothing"
    );
    assert_eq!(
        test.store.complete(heir, &[order.id, overdue.id]).await.expect("completions").len(),
        2
    );
    assert_eq!(test.order(pending.id).await, Some(pending));
}

on_both!(orders_handed_back_are_adopted_from_the_living);
async fn orders_handed_back_are_adopted_from_the_living(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let (one, other) = (test.worker().await, test.worker().await);
    let order = test.started(one, hero_id, meal_id).await;
    let theirs = test.started(other, hero_id, meal_id).await;
    let ended = test.started(one, hero_id, meal_id).await;
    test.cancel(cancel(ended.id)).await;
    assert_eq!(test.store.hand_back(one).await.expect("a count"), 1);
    assert_eq!(test.store.hand_back(one).await.expect("a count"), 0);
    assert_eq!(test.store.complete(one, &[order.id]).await.expect("an answer"), []);
    assert_eq!(
        test.order(order.id).await.as_ref(),
        Some(&order),
        "handing back changes nothing that is visible"
    );
    let adopted = test.store.adopt(other, 100).await.expect("adoptions");
    assert_eq!(adopted.len(), 1);
    assert_eq!((&adopted[0].order, adopted[0].due_in > LONG / 2), (&order, true));
    assert_eq!(
        test.store.complete(other, &[order.id, theirs.id]).await.expect("completions").len(),
        2
    );
}

on_both!(at_most_so_many_are_adopted);
async fn at_most_so_many_are_adopted(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let ids = test.place_ids(hero_id, meal_id, 5).await;
    test.claim(worker, &ids).await;
    test.store.hand_back(worker).await.expect("a count");
    for expected in [2, 2, 1, 0] {
        assert_eq!(test.store.adopt(worker, 2).await.expect("adoptions").len(), expected);
    }
}

on_both!(handing_back_is_no_sign_of_poison);
async fn handing_back_is_no_sign_of_poison(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let order = test.started(worker, hero_id, meal_id).await;
    for _ in 0..=MAX_ADOPTIONS {
        test.store.hand_back(worker).await.expect("a count");
        let adopted = test.store.adopt(worker, 1).await.expect("adoptions");
        assert_eq!(adopted[0].order, order);
    }
}

on_both!(an_order_adopted_too_often_is_undeliverable);
async fn an_order_adopted_too_often_is_undeliverable(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let order = test.started(worker, hero_id, meal_id).await;
    let almost = MAX_ADOPTIONS - 1;
    test.database
        .sql(&format!("update orders set adoptions = {almost} where id = {}", order.id))
        .await
        .expect("past times are set");
    let test = restart(test).await;
    let heir = test.worker().await;
    assert_eq!(test.adopt_some(heir).await[0].order, order);
    let test = restart(test).await;
    let heir = test.worker().await;
    let ended = test.adopt_some(heir).await.remove(0);
    assert_eq!((ended.order.status, ended.order.version), (Status::Cancelled, Version(3)));
    assert_eq!((ended.order.reason, ended.due_in.is_zero()), (Some(Reason::Undeliverable), true));
    assert_eq!(ended.order.message.as_deref(), Some(Reason::Undeliverable.message()));
    assert_eq!(test.order(order.id).await, Some(ended.order));
    assert!(test.store.adopt(heir, 1).await.expect("an answer").is_empty());
}
