//! An order keeps the name and the price of its meal.

use galley_protocol::{ListOrders, OfHero, OrderId, Price};

use crate::test_store::{TestStore, new_hero, new_meal};

/// Every name and price of this order's meal that can be read.
async fn shown(test: &TestStore, id: OrderId) -> Vec<(String, i64)> {
    let alone = test.store.order(id).await.expect("an answer").expect("the order").view;
    let hero_id = Some(alone.order.hero_id);
    let mut views = vec![alone];
    for hero_id in [None, hero_id] {
        let all = OfHero { hero_id, command: ListOrders { limit: 100, ..ListOrders::default() } };
        views.extend(
            test.store
                .orders(&all)
                .await
                .expect("a page")
                .items
                .into_iter()
                .filter(|view| view.order.id == id),
        );
    }
    views.iter().map(|view| (view.meal.name.to_string(), view.meal.price.hundredths())).collect()
}

/// Changes the name and the price of a meal.
async fn change(test: &TestStore, id: galley_protocol::MealId) {
    let mut stew = new_meal("Stew", &["beef"]);
    stew.price = Price::from_hundredths(99_900).expect("a price");
    test.store.meals().update(id, &stew.into(), None).await.expect("a change");
}

on_both!(an_order_keeps_the_name_and_the_price_of_its_meal);
async fn an_order_keeps_the_name_and_the_price_of_its_meal(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let orders = [
        test.place(hero_id, meal_id).await.id,
        test.started(worker, hero_id, meal_id).await.id,
        test.completed(worker, hero_id, meal_id).await.id,
    ];
    change(&test, meal_id).await;
    for id in orders {
        assert_eq!(shown(&test, id).await, vec![("Soup".to_owned(), 1_999); 3]);
    }
    let later = test.place(hero_id, meal_id).await.id;
    assert_eq!(shown(&test, later).await, vec![("Stew".to_owned(), 99_900); 3]);
}

on_both!(orders_from_before_keep_what_their_meals_are_at_the_migration);
async fn orders_from_before_keep_what_their_meals_are_at_the_migration(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let order = test.place(hero_id, meal_id).await.id;
    for statement in [
        "alter table orders drop column meal_price_hundredths",
        "alter table orders drop column meal_name",
        "delete from _sqlx_migrations where version = 3",
    ] {
        test.database.sql(statement).await.expect("the old schema is restored");
    }
    test.store.migrate().await.expect("the columns are added again");
    change(&test, meal_id).await;
    assert_eq!(shown(&test, order).await, vec![("Soup".to_owned(), 1_999); 3]);
}

on_both!(an_order_that_an_older_program_placed_shows_its_meal_as_it_is);
async fn an_order_that_an_older_program_placed_shows_its_meal_as_it_is(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let now = test.database.seconds_ago(0);
    let (hero, meal) = (hero_id.get(), meal_id.get());
    let insert = format!(
        "insert into orders (id, hero_id, meal_id, order_time) values (1000, {hero}, {meal}, {now})"
    );
    test.database.sql(&insert).await.expect("the columns may be absent");
    let order = OrderId::new(1_000).expect("an id");
    assert_eq!(shown(&test, order).await, vec![("Soup".to_owned(), 1_999); 3]);
    change(&test, meal_id).await;
    assert_eq!(shown(&test, order).await, vec![("Stew".to_owned(), 99_900); 3]);
    let half = test.database.sql("update orders set meal_name = 'Soup' where id = 1000").await;
    assert!(half.as_ref().is_err_and(|why| why.to_lowercase().contains("check")), "{half:?}");
}

on_both!(a_view_of_an_order_names_the_version_of_its_hero);
async fn a_view_of_an_order_names_the_version_of_its_hero(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let order = test.place(hero_id, meal_id).await.id;
    let hero_version = async || {
        test.store.order(order).await.expect("an answer").expect("the order").hero_version.0
    };
    assert_eq!(hero_version().await, 1);
    test.store
        .heroes()
        .update(hero_id, &new_hero("Max", &[]).into(), None)
        .await
        .expect("a change");
    assert_eq!(hero_version().await, 2);
}
