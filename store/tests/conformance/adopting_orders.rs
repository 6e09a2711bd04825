//! What becomes of the orders of a worker that is no more.

use galley_protocol::{Reason, Status, Version};
use galley_store::{Incarnations, MAX_ADOPTIONS};

use crate::fresh_database::reopen;
use crate::store_census::{census, publisher};
use crate::test_kitchen::{LONG, TestKitchen, cancel, until};

on_both!(an_incarnation_is_never_used_twice);
async fn an_incarnation_is_never_used_twice(kitchen: TestKitchen) {
    let (one, two) = (kitchen.worker().await, kitchen.worker().await);
    let kitchen = restart(kitchen).await;
    let three = kitchen.worker().await;
    assert!(one < two && two < three);
    let known = Incarnations { living: [three].into(), newest: Some(three) };
    until("only the new one lives", || async {
        kitchen.store.incarnations().await.expect("an answer") == known
    })
    .await;
}

on_both!(the_living_and_the_newest_incarnation_are_told);
async fn the_living_and_the_newest_incarnation_are_told(kitchen: TestKitchen) {
    assert_eq!(kitchen.store.incarnations().await.expect("an answer"), Incarnations::default());
    let (one, two) = (kitchen.worker().await, kitchen.worker().await);
    let known = Incarnations { living: [one, two].into(), newest: Some(two) };
    assert_eq!(kitchen.store.incarnations().await.expect("an answer"), known);
}

/// The process dies, and another one begins.
async fn restart(kitchen: TestKitchen) -> TestKitchen {
    let TestKitchen { database, store } = kitchen;
    drop(store);
    let store = reopen(&database).await;
    TestKitchen { database, store }
}

on_both!(the_orders_of_a_living_owner_are_left_alone);
async fn the_orders_of_a_living_owner_are_left_alone(kitchen: TestKitchen) {
    let (hero_id, meal_id) = kitchen.guest().await;
    let (one, other) = (kitchen.worker().await, kitchen.worker().await);
    let order = kitchen.started(one, hero_id, meal_id).await;
    for worker in [one, other] {
        census(&*kitchen.store, publisher(1), false).await;
        assert!(kitchen.store.adopt(worker, 100).await.expect("an answer").is_empty());
    }
    assert_eq!(kitchen.store.complete(one, &[order.id]).await.expect("completions").len(), 1);
}

on_both!(the_orders_of_a_dead_owner_are_adopted_with_their_due_time);
async fn the_orders_of_a_dead_owner_are_adopted_with_their_due_time(kitchen: TestKitchen) {
    let (hero_id, meal_id) = kitchen.guest().await;
    let dead = kitchen.worker().await;
    let order = kitchen.started(dead, hero_id, meal_id).await;
    let overdue = kitchen.started(dead, hero_id, meal_id).await;
    let past = kitchen.database.seconds_ago(60);
    kitchen
        .database
        .sql(&format!("update orders set due_at = {past} where id = {}", overdue.id))
        .await
        .expect("a past");
    let pending = kitchen.place(hero_id, meal_id).await;
    let kitchen = restart(kitchen).await;
    let heir = kitchen.worker().await;
    let mut adopted = kitchen.adopt_some(heir).await;
    adopted.sort_by_key(|adopted| adopted.order.id);
    assert_eq!(
        adopted.iter().map(|adopted| adopted.order.clone()).collect::<Vec<_>>(),
        [order.clone(), overdue.clone()]
    );
    assert!(adopted[0].due_in > LONG / 2 && adopted[0].due_in <= LONG);
    assert!(adopted[1].due_in.is_zero());
    assert_eq!(
        kitchen.store.complete(dead, &[order.id]).await.expect("an answer"),
        [],
        "the dead one is fenced off"
    );
    assert_eq!(
        kitchen.store.complete(heir, &[order.id, overdue.id]).await.expect("completions").len(),
        2
    );
    assert_eq!(kitchen.order(pending.id).await, Some(pending));
}

on_both!(orders_handed_back_are_adopted_from_the_living);
async fn orders_handed_back_are_adopted_from_the_living(kitchen: TestKitchen) {
    let (hero_id, meal_id) = kitchen.guest().await;
    let (one, other) = (kitchen.worker().await, kitchen.worker().await);
    let order = kitchen.started(one, hero_id, meal_id).await;
    let theirs = kitchen.started(other, hero_id, meal_id).await;
    let ended = kitchen.started(one, hero_id, meal_id).await;
    kitchen.cancel(cancel(ended.id)).await;
    assert_eq!(kitchen.store.hand_back(one).await.expect("a count"), 1);
    assert_eq!(kitchen.store.hand_back(one).await.expect("a count"), 0);
    assert_eq!(kitchen.store.complete(one, &[order.id]).await.expect("an answer"), []);
    assert_eq!(kitchen.order(order.id).await.as_ref(), Some(&order), "nobody sees the difference");
    let adopted = kitchen.store.adopt(other, 100).await.expect("adoptions");
    assert_eq!(adopted.len(), 1);
    assert_eq!((&adopted[0].order, adopted[0].due_in > LONG / 2), (&order, true));
    assert_eq!(
        kitchen.store.complete(other, &[order.id, theirs.id]).await.expect("completions").len(),
        2
    );
}

on_both!(at_most_so_many_are_adopted);
async fn at_most_so_many_are_adopted(kitchen: TestKitchen) {
    let (hero_id, meal_id, worker) = kitchen.guest_and_worker().await;
    let ids = kitchen.place_ids(hero_id, meal_id, 5).await;
    kitchen.claim(worker, &ids).await;
    kitchen.store.hand_back(worker).await.expect("a count");
    for expected in [2, 2, 1, 0] {
        assert_eq!(kitchen.store.adopt(worker, 2).await.expect("adoptions").len(), expected);
    }
}

on_both!(handing_back_is_no_sign_of_poison);
async fn handing_back_is_no_sign_of_poison(kitchen: TestKitchen) {
    let (hero_id, meal_id, worker) = kitchen.guest_and_worker().await;
    let order = kitchen.started(worker, hero_id, meal_id).await;
    for _ in 0..=MAX_ADOPTIONS {
        kitchen.store.hand_back(worker).await.expect("a count");
        let adopted = kitchen.store.adopt(worker, 1).await.expect("adoptions");
        assert_eq!(adopted[0].order, order);
    }
}

on_both!(an_order_adopted_too_often_is_undeliverable);
async fn an_order_adopted_too_often_is_undeliverable(kitchen: TestKitchen) {
    let (hero_id, meal_id, worker) = kitchen.guest_and_worker().await;
    let order = kitchen.started(worker, hero_id, meal_id).await;
    let almost = MAX_ADOPTIONS - 1;
    kitchen
        .database
        .sql(&format!("update orders set adoptions = {almost} where id = {}", order.id))
        .await
        .expect("a past");
    let kitchen = restart(kitchen).await;
    let heir = kitchen.worker().await;
    assert_eq!(kitchen.adopt_some(heir).await[0].order, order);
    let kitchen = restart(kitchen).await;
    let heir = kitchen.worker().await;
    let ended = kitchen.adopt_some(heir).await.remove(0);
    assert_eq!((ended.order.status, ended.order.version), (Status::Cancelled, Version(3)));
    assert_eq!((ended.order.reason, ended.due_in.is_zero()), (Some(Reason::Undeliverable), true));
    assert_eq!(ended.order.message.as_deref(), Some(Reason::Undeliverable.message()));
    assert_eq!(kitchen.order(order.id).await, Some(ended.order));
    assert!(kitchen.store.adopt(heir, 1).await.expect("an answer").is_empty());
}
