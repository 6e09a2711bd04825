//! Reading orders.

use galley_protocol::{OrderId, PageCursor, Status};
use galley_store::OrderFilter;

use crate::test_kitchen::{TestKitchen, delete};

async fn ids(kitchen: &TestKitchen, filter: OrderFilter) -> Vec<i64> {
    let orders = kitchen.store.orders(&OrderFilter { limit: 50, ..filter }).await.expect("a page");
    orders.iter().map(|view| view.order.id.get()).collect()
}

on_both!(orders_come_newest_first_in_pages);
async fn orders_come_newest_first_in_pages(kitchen: TestKitchen) {
    let (hero_id, meal_id) = kitchen.guest().await;
    let mut placed = kitchen.place_ids(hero_id, meal_id, 7).await;
    placed.reverse();
    for hero_id in [None, Some(hero_id)] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let filter = OrderFilter { hero_id, after, limit: 3, ..OrderFilter::default() };
            let page = kitchen.store.orders(&filter).await.expect("a page");
            let Some(last) = page.last() else { break };
            after = Some(PageCursor::after(last.order.id));
            seen.extend(page.iter().map(|view| view.order.id));
        }
        assert_eq!(seen, placed);
    }
}

on_both!(orders_are_found_by_hero_meal_and_status);
async fn orders_are_found_by_hero_meal_and_status(kitchen: TestKitchen) {
    let (hero_id, meal_id) = kitchen.guest().await;
    let (other_hero, other_meal) = kitchen.guest().await;
    let worker = kitchen.worker().await;
    let pending = kitchen.place(hero_id, meal_id).await.id.get();
    let started = kitchen.started(worker, other_hero, meal_id).await.id.get();
    let completed = kitchen.completed(worker, hero_id, other_meal).await.id.get();
    let deleted = kitchen.completed(worker, hero_id, other_meal).await.id;
    kitchen.delete(delete(deleted)).await;
    let none = OrderFilter::default();
    assert_eq!(ids(&kitchen, none.clone()).await, [completed, started, pending]);
    assert_eq!(
        ids(&kitchen, OrderFilter { hero_id: Some(hero_id), ..none.clone() }).await,
        [completed, pending]
    );
    assert_eq!(
        ids(&kitchen, OrderFilter { meal_id: Some(meal_id), ..none.clone() }).await,
        [started, pending]
    );
    let both = OrderFilter { hero_id: Some(hero_id), meal_id: Some(meal_id), ..none.clone() };
    assert_eq!(ids(&kitchen, both).await, [pending]);
    let active = OrderFilter { status: vec![Status::Pending, Status::InProgress], ..none.clone() };
    assert_eq!(ids(&kitchen, active.clone()).await, [started, pending]);
    assert_eq!(ids(&kitchen, OrderFilter { hero_id: Some(other_hero), ..active }).await, [started]);
    assert_eq!(
        ids(&kitchen, OrderFilter { status: vec![Status::Pending, Status::Completed], ..none })
            .await,
        [completed, pending]
    );
    let view = kitchen
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
async fn an_unknown_order_is_nothing(kitchen: TestKitchen) {
    assert_eq!(kitchen.order(OrderId::new(1).expect("an id")).await, None);
}
