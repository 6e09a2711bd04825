//! A hero sees and touches only its own orders.

use galley_tests::StackBuilder;
use galley_tests::json::{id, list, text};
use serde_json::json;

on_both_deployments![the_order_of_another_hero_is_answered_like_an_unknown_one];

async fn the_order_of_another_hero_is_answered_like_an_unknown_one(stack: StackBuilder) {
    let stack = stack.delay("1h").start().await;
    let client = stack.client();
    let (hero, meal) = client.create_hero_and_meal().await;
    let other = client.create_hero("Other", &[]).await;
    let order = id(&client.place(hero, meal).await);
    client.until_status(order, "IN_PROGRESS").await;
    let ended = id(&client.place(hero, meal).await);
    client.cancel(ended).await.is(200);
    let unknown = ended + 1_000;
    let mut stranger = client.connect(other).await;
    for command in ["get", "cancel", "delete"] {
        for foreign in [order, ended] {
            let foreign_problem = stranger.problem(json!({"type": command, "order_id": foreign})).await;
            let unknown_problem = stranger.problem(json!({"type": command, "order_id": unknown})).await;
            let same = foreign_problem.to_string().replace(&foreign.to_string(), "#");
            assert_eq!(same, unknown_problem.to_string().replace(&unknown.to_string(), "#"), "{command}");
        }
    }
    assert!(list(&stranger.reply(json!({"type": "orders"})).await, "items").is_empty());
    assert!(list(&stranger.welcome, "orders").is_empty());
    assert!(stranger.order_frames_so_far().await.is_empty());
    assert_eq!(text(&client.order(order).await, "status"), "IN_PROGRESS");
    assert_eq!(text(&client.order(ended).await, "status"), "CANCELLED");
}
