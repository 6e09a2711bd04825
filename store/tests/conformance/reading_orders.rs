//! Reading orders.

use galley_protocol::{HeroId, ListOrders, OfHero, OrderId, Status};

use crate::test_store::{TestStore, delete};

async fn ids(test: &TestStore, hero_id: Option<HeroId>, command: ListOrders) -> Vec<i64> {
    let orders = test.store.orders(&OfHero { hero_id, command }).await.expect("a page");
    orders.items.iter().map(|view| view.order.id.get()).collect()
}

on_both!(orders_come_newest_first_in_pages);
async fn orders_come_newest_first_in_pages(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let mut placed = test.place_ids(hero_id, meal_id, 7).await;
    placed.reverse();
    for hero_id in [None, Some(hero_id)] {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let command = ListOrders { cursor, limit: 3, ..ListOrders::default() };
            let page = test.store.orders(&OfHero { hero_id, command }).await.expect("a page");
            seen.extend(page.items.iter().map(|view| view.order.id));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, placed);
    }
}

on_both!(orders_are_found_by_hero_meal_and_status);
async fn orders_are_found_by_hero_meal_and_status(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let (other_hero, other_meal) = test.guest().await;
    let worker = test.worker().await;
    let pending = test.place(hero_id, meal_id).await.id.get();
    let started = test.started(worker, other_hero, meal_id).await.id.get();
    let completed = test.completed(worker, hero_id, other_meal).await.id.get();
    let deleted = test.completed(worker, hero_id, other_meal).await.id;
    test.delete(delete(deleted)).await;
    let (hero_id, other_hero_id) = (Some(hero_id), Some(other_hero));
    let all = ListOrders::default();
    assert_eq!(ids(&test, None, all.clone()).await, [completed, started, pending]);
    assert_eq!(ids(&test, hero_id, all.clone()).await, [completed, pending]);
    let of_meal = ListOrders { meal_id: Some(meal_id), ..all.clone() };
    assert_eq!(ids(&test, None, of_meal.clone()).await, [started, pending]);
    assert_eq!(ids(&test, hero_id, of_meal).await, [pending]);
    let active = ListOrders { status: vec![Status::Pending, Status::InProgress], ..all.clone() };
    assert_eq!(ids(&test, None, active.clone()).await, [started, pending]);
    assert_eq!(ids(&test, other_hero_id, active).await, [started]);
    let some = ListOrders { status: vec![Status::Pending, Status::Completed], ..all };
    assert_eq!(ids(&test, None, some).await, [completed, pending]);
    let view = test
        .store
        .order(OrderId::new(started).expect("an id"))
        .await
        .expect("an answer")
        .expect("the order")
        .view;
    assert_eq!((view.hero.id, view.hero.name.as_str()), (other_hero, "Zoé"));
    assert_eq!(
        (view.meal.id, view.meal.name.as_str(), view.meal.price.hundredths()),
        (meal_id, "Soup", 1_999)
    );
}

on_both!(an_unknown_order_is_nothing);
async fn an_unknown_order_is_nothing(test: TestStore) {
    assert_eq!(test.order(OrderId::new(1).expect("an id")).await, None);
}
