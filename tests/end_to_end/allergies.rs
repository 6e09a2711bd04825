//! The worker cancels orders of meals that the hero is allergic to.

use galley_tests::StackBuilder;
use galley_tests::json::{id, text, version};
use serde_json::json;

on_both_deployments!(a_conflict_cancels_and_names_every_ingredient);
async fn a_conflict_cancels_and_names_every_ingredient(stack: StackBuilder) {
    let stack = stack.delay("1h").start().await;
    let client = stack.client();
    let hero = client.create_hero("Bassoon", &["Creme  FRAICHE", "NUT"]).await;
    let meal = client.create_meal("Gratin", &["potato", "crème fraîche", "nut", "peanut"]).await;
    let mut socket = client.connect(hero).await;
    let order = id(&client.place(hero, meal).await);
    socket.follow(&["PENDING", "IN_PROGRESS", "CANCELLED"]).await;
    let ended = client.order(order).await;
    assert_eq!((text(&ended, "reason"), version(&ended)), ("allergy", 3));
    let message = text(&ended, "message");
    assert!(message.contains("crème fraîche") && message.contains("nut"), "{message}");
    assert!(!message.contains("potato") && !message.contains("peanut"), "{message}");
    assert!(ended["completed_time"].is_string());
}

on_both_deployments!(an_allergy_is_checked_when_the_order_is_prepared);
async fn an_allergy_is_checked_when_the_order_is_prepared(stack: StackBuilder) {
    let stack = stack.delay("0s").start().await;
    let client = stack.client();
    let hero = client.create_hero("Aunt", &[]).await;
    let meal = client.create_meal("Brownie", &["walnut"]).await;
    client.place_until(hero, meal, "COMPLETED").await;
    let path = format!("/heroes/{hero}");
    assert_eq!(client.patch(&path, &json!({"allergies": ["WALNUT"]})).await.status, 200);
    let order = id(&client.place(hero, meal).await);
    assert_eq!(text(&client.until_status(order, "CANCELLED").await, "reason"), "allergy");
    assert_eq!(client.patch(&path, &json!({"allergies": null})).await.status, 200);
    client.place_until(hero, meal, "COMPLETED").await;
}
