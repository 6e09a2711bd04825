//! The same key, the same order.

use futures_util::future::join_all;
use galley_tests::json::{id, text};
use galley_tests::{Client, StackBuilder};
use serde_json::{Value, json};

on_both_deployments![
    a_repeated_request_places_nothing_new,
    many_requests_at_once_with_one_key_place_one_order,
    a_repeated_command_places_nothing_new,
];

async fn place(client: &Client, hero: i64, meal: i64, key: &str) -> galley_tests::Answer {
    client.post("/orders", &json!({"hero_id": hero, "meal_id": meal})).header("Idempotency-Key", key).await
}

async fn a_repeated_request_places_nothing_new(stack: StackBuilder) {
    let stack = stack.delay("0s").start().await;
    let client = stack.client();
    let (hero, meal) = client.create_hero_and_meal().await;
    let first = place(&client, hero, meal, "lunch").await;
    assert_eq!(first.header("idempotent-replayed"), "");
    let order = id(&first.is(202));
    client.until_status(order, "COMPLETED").await;
    let again = place(&client, hero, meal, "lunch").await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.header("location"), format!("/orders/{order}"));
    assert_eq!(id(&again.is(202)), order);
    let other = client.create_meal("Other", &[]).await;
    place(&client, hero, other, "lunch").await.problem(422, "idempotency-key-reused");
    assert_ne!(id(&place(&client, hero, meal, "Lunch").await.is(202)), order);
    let longest = "k".repeat(255);
    assert_eq!(place(&client, hero, meal, &longest).await.status, 202);
    for wrong in ["", &"k".repeat(256)] {
        let problem = place(&client, hero, meal, wrong).await.problem(400, "invalid-parameter");
        assert_eq!(text(&problem["errors"][0], "pointer"), "Idempotency-Key");
    }
    assert_eq!(client.all("/orders").await.len(), 3);
}

async fn many_requests_at_once_with_one_key_place_one_order(stack: StackBuilder) {
    let stack = stack.delay("1h").start().await;
    let client = stack.client();
    let (hero, meal) = client.create_hero_and_meal().await;
    let answers = join_all((0..100).map(|_| place(&client, hero, meal, "once"))).await;
    let replayed = answers.iter().filter(|answer| answer.header("idempotent-replayed") == "true").count();
    let orders: Vec<i64> = answers.into_iter().map(|answer| id(&answer.is(202))).collect();
    assert!(orders.iter().all(|order| *order == orders[0]), "{orders:?}");
    assert_eq!(replayed, orders.len() - 1);
    assert_eq!(client.all("/orders").await.len(), 1);
}

async fn a_repeated_command_places_nothing_new(stack: StackBuilder) {
    let stack = stack.delay("1h").start().await;
    let client = stack.client();
    let (hero, meal) = client.create_hero_and_meal().await;
    let other = client.create_hero("Other", &[]).await;
    let mut sockets = [client.connect(hero).await, client.connect(hero).await];
    let command = json!({"type": "place", "meal_id": meal, "key": "lunch"});
    let [one, two] = &mut sockets;
    let (first, second) = tokio::join!(one.reply(command.clone()), two.reply(command.clone()));
    assert_eq!(id(&first["order"]), id(&second["order"]));
    let replayed = [&first, &second].map(|reply| reply["replayed"] == true);
    assert!(replayed[0] != replayed[1], "{first} {second}");
    assert_eq!(two.reply(command.clone()).await["replayed"], true);
    let menu = client.create_meal("Other", &[]).await;
    let problem = two.problem(json!({"type": "place", "meal_id": menu, "key": "lunch"})).await;
    assert_eq!(text(&problem, "type"), "/problems/idempotency-key-reused");
    // A key belongs to the hero who used it.
    let mut stranger = client.connect(other).await;
    let own = stranger.reply(command).await;
    assert_eq!((id(&own["order"]) == id(&first["order"]), &own["replayed"]), (false, &Value::Null));
    assert_eq!(client.all("/orders").await.len(), 2);
}
