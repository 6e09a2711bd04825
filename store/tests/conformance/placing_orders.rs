//! Placing orders, and their keys.

use galley_protocol::{HeroId, MealId, Order, Reason, Status, Version};
use galley_store::PlaceVerdict;

use crate::test_store::{TestStore, cancel, delete, request};

fn placed(verdict: &PlaceVerdict) -> &Order {
    if let PlaceVerdict::Placed(order) = verdict { order } else { panic!("{verdict:?}") }
}

on_both!(an_order_begins_as_pending);
async fn an_order_begins_as_pending(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let order = test.place(hero_id, meal_id).await;
    assert_eq!(
        (order.hero_id, order.meal_id, order.status, order.version),
        (hero_id, meal_id, Status::Pending, Version::FIRST)
    );
    assert_eq!(
        (&order.message, order.reason, order.started_time, order.completed_time),
        (&None, None, None, None)
    );
    assert_eq!(test.order(order.id).await, Some(order));
}

on_both!(open_orders_of_a_hero_are_counted_up_to_a_bound);
async fn open_orders_of_a_hero_are_counted_up_to_a_bound(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let other = test.hero("Other", &[]).await.id;
    let open = async |at_most| test.store.open_orders(hero_id, at_most).await.expect("a count");
    assert_eq!(open(10).await, 0);
    let order = test.place(hero_id, meal_id).await;
    for hero_id in [hero_id, hero_id, other] {
        test.place(hero_id, meal_id).await;
    }
    assert_eq!((open(10).await, open(2).await), (3, 2));
    test.cancel(cancel(order.id)).await;
    assert_eq!((open(10).await, open(usize::MAX).await), (2, 2));
}

on_both!(each_request_of_a_batch_has_its_own_verdict);
async fn each_request_of_a_batch_has_its_own_verdict(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let gone = test.hero("Gone", &[]).await.id;
    test.store.heroes().remove(gone, None).await.expect("no order is active");
    let nobody = HeroId::new(999).expect("an id");
    let nothing = MealId::new(999).expect("an id");
    let requests = [
        request(hero_id, meal_id, None),
        request(nobody, meal_id, None),
        request(hero_id, nothing, Some("a")),
        request(nobody, nothing, None),
        request(gone, meal_id, Some("b")),
        request(hero_id, meal_id, Some("c")),
    ];
    let verdicts = test.store.place(&requests).await.expect("verdicts");
    let middle = [
        PlaceVerdict::HeroNotFound,
        PlaceVerdict::MealNotFound,
        PlaceVerdict::HeroNotFound,
        PlaceVerdict::HeroNotFound,
    ];
    assert_eq!(verdicts[1..5], middle);
    assert!(placed(&verdicts[0]).id < placed(&verdicts[5]).id);
}

on_both!(a_key_replays_the_order_as_it_is_now);
async fn a_key_replays_the_order_as_it_is_now(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let keyed = [request(hero_id, meal_id, Some("a key with ' \" \\ \u{1f35c}"))];
    let first = test.store.place(&keyed).await.expect("verdicts");
    let order = placed(&first[0]).clone();
    assert_eq!(
        test.store.place(&keyed).await.expect("verdicts"),
        [PlaceVerdict::Replayed(order.clone())]
    );
    test.cancel(cancel(order.id)).await;
    let cancelled = test.order(order.id).await.expect("the order");
    assert_eq!(cancelled.reason, Some(Reason::HeroRequest));
    assert_eq!(
        test.store.place(&keyed).await.expect("verdicts"),
        [PlaceVerdict::Replayed(cancelled.clone())]
    );
    test.delete(delete(order.id)).await;
    assert_eq!(
        test.store.place(&keyed).await.expect("verdicts"),
        [PlaceVerdict::Replayed(cancelled)]
    );
    assert_eq!(test.order(order.id).await, None);
}

on_both!(a_key_with_another_body_is_refused);
async fn a_key_with_another_body_is_refused(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let other = test.meal("Stew", &[]).await.id;
    test.store.place(&[request(hero_id, meal_id, Some("a"))]).await.expect("verdicts");
    let again = test
        .store
        .place(&[request(hero_id, other, Some("a")), request(hero_id, other, Some("b"))])
        .await;
    let again = again.expect("verdicts");
    assert_eq!(again[0], PlaceVerdict::KeyReused);
    assert_eq!(placed(&again[1]).meal_id, other);
}

on_both!(a_key_counts_before_the_hero_and_the_meal);
async fn a_key_counts_before_the_hero_and_the_meal(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let keyed = request(hero_id, meal_id, Some("a"));
    let order =
        placed(&test.store.place(std::slice::from_ref(&keyed)).await.expect("verdicts")[0]).clone();
    test.cancel(cancel(order.id)).await;
    test.store.meals().remove(meal_id, None).await.expect("no order is active");
    let nothing = request(hero_id, MealId::new(999).expect("an id"), Some("a"));
    let verdicts = test.store.place(&[keyed, nothing]).await.expect("verdicts");
    assert!(
        matches!(&verdicts[0], PlaceVerdict::Replayed(replayed) if replayed.id == order.id),
        "{verdicts:?}"
    );
    assert_eq!(verdicts[1], PlaceVerdict::KeyReused);
}

on_both!(a_key_belongs_to_the_hero);
async fn a_key_belongs_to_the_hero(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let other = test.hero("Max", &[]).await.id;
    let requests = [request(hero_id, meal_id, Some("a")), request(other, meal_id, Some("a"))];
    let verdicts = test.store.place(&requests).await.expect("verdicts");
    assert_ne!(placed(&verdicts[0]).id, placed(&verdicts[1]).id);
    assert_eq!(
        test.store.place(&requests[1..]).await.expect("verdicts"),
        [PlaceVerdict::Replayed(placed(&verdicts[1]).clone())]
    );
}

on_both!(a_key_from_before_an_upgrade_places_nothing_new);
/// Earlier versions stored keys of callers without a token under one scope for all heroes.
async fn a_key_from_before_an_upgrade_places_nothing_new(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let other = test.hero("Max", &[]).await.id;
    let stew = test.meal("Stew", &[]).await.id;
    let keyed = [request(hero_id, meal_id, Some("a"))];
    let order = placed(&test.store.place(&keyed).await.expect("verdicts")[0]).clone();
    test.database.sql("update orders set key_scope = 0").await.expect("a row of before");
    let requests =
        [keyed[0].clone(), request(hero_id, stew, Some("a")), request(other, meal_id, Some("a"))];
    let verdicts = test.store.place(&requests).await.expect("verdicts");
    assert_eq!(verdicts[..2], [PlaceVerdict::Replayed(order.clone()), PlaceVerdict::KeyReused]);
    assert_ne!(placed(&verdicts[2]).id, order.id);
}

on_both!(of_the_same_key_in_a_batch_the_first_good_one_places);
async fn of_the_same_key_in_a_batch_the_first_good_one_places(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let other = test.meal("Stew", &[]).await.id;
    let nothing = MealId::new(999).expect("an id");
    let requests = [
        request(hero_id, meal_id, Some("z")),
        request(hero_id, other, Some("z")),
        request(hero_id, meal_id, Some("a")),
        request(hero_id, meal_id, Some("z")),
    ];
    let verdicts = test.store.place(&requests).await.expect("verdicts");
    let first = placed(&verdicts[0]).clone();
    assert_eq!(verdicts[1], PlaceVerdict::KeyReused);
    assert!(placed(&verdicts[2]).id > first.id);
    assert_eq!(verdicts[3], PlaceVerdict::Replayed(first));
    let late = [request(hero_id, other, Some("y")), request(hero_id, other, Some("y"))];
    let verdicts = test.store.place(&late).await.expect("verdicts");
    assert_eq!(verdicts[1], PlaceVerdict::Replayed(placed(&verdicts[0]).clone()));
    let verdicts =
        test.store.place(&[request(hero_id, nothing, Some("x"))]).await.expect("verdicts");
    assert_eq!(verdicts, [PlaceVerdict::MealNotFound]);
    assert_eq!(
        placed(
            &test.store.place(&[request(hero_id, other, Some("x"))]).await.expect("verdicts")[0]
        )
        .meal_id,
        other
    );
}

on_both!(twins_at_the_same_moment_place_once);
async fn twins_at_the_same_moment_place_once(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let keys: Vec<String> = (0..200).map(|number| format!("key {number}")).collect();
    let batch: Vec<_> = keys.iter().map(|key| request(hero_id, meal_id, Some(key))).collect();
    let backwards: Vec<_> = batch.iter().rev().cloned().collect();
    let place = |batch| test.store.place(batch);
    let verdicts = tokio::join!(place(&batch), place(&batch), place(&batch), place(&backwards));
    let [one, two, three, mut four] =
        <[_; 4]>::from(verdicts).map(|verdicts| verdicts.expect("verdicts"));
    four.reverse();
    for ((one, two), (three, four)) in one.iter().zip(&two).zip(three.iter().zip(&four)) {
        let mut placed = 0;
        let ids = [one, two, three, four].map(|verdict| match verdict {
            PlaceVerdict::Placed(order) => {
                placed += 1;
                order.id
            }
            PlaceVerdict::Replayed(order) => order.id,
            PlaceVerdict::KeyReused | PlaceVerdict::HeroNotFound | PlaceVerdict::MealNotFound => {
                panic!("{verdict:?}")
            }
        });
        assert_eq!((placed, ids), (1, [ids[0]; 4]));
    }
    assert_eq!(test.store.totals().await.expect("totals").pending, 200);
}

on_both!(an_empty_batch_has_no_verdicts);
async fn an_empty_batch_has_no_verdicts(test: TestStore) {
    assert_eq!(test.store.place(&[]).await.expect("verdicts"), []);
    assert_eq!(test.store.cancel(&[]).await.expect("verdicts"), []);
    assert_eq!(test.store.delete(&[]).await.expect("verdicts"), []);
    assert!(test.store.snapshots(&[]).await.expect("snapshots").is_empty());
}
