//! An order always shows its meal as it was when the order was placed.

use galley_tests::StackBuilder;
use galley_tests::json::{id, list};
use serde_json::json;

on_both_deployments!(an_order_keeps_the_name_and_the_price_of_its_meal);
async fn an_order_keeps_the_name_and_the_price_of_its_meal(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("0s").start_with_hero_and_meal().await;
    let order = client.place_until(hero, meal, "COMPLETED").await;
    client.patch(&format!("/meals/{meal}"), &json!({"name": "Stew", "price": 999})).await.is(200);

    let placed = json!({"id": meal, "name": "Soup", "price": 9.5});
    assert_eq!(client.order(order).await["meal"], placed);
    for path in
        ["/orders".to_owned(), format!("/heroes/{hero}/orders"), format!("/orders?meal_id={meal}")]
    {
        assert_eq!(list(&client.get(&path).await.is(200), "items")[0]["meal"], placed, "{path}");
    }
    assert_eq!(client.galley_json(&["order", "get", &order.to_string()]).await["meal"], placed);
    let table = client.galley(&["order", "list"]).await;
    assert!(table.stdout.contains("Soup") && !table.stdout.contains("Stew"), "{table:?}");

    client.delete(&format!("/meals/{meal}")).await;
    assert_eq!(client.order(order).await["meal"], placed);
    let other = client.create_meal("Soup", &[]).await;
    let later = id(&client.place(hero, other).await);
    assert_eq!(
        client.order(later).await["meal"],
        json!({"id": other, "name": "Soup", "price": 9.5})
    );
}
