//! The embedded service recovers when it is killed and restarted on its file.

use futures_util::stream::{self, StreamExt as _};
use galley_tests::TestStack;
use galley_tests::json::{id, list, text};

use crate::many::assert_each_completed_once;

#[tokio::test]
async fn every_accepted_order_ends_although_the_service_is_killed_again_and_again() {
    let mut stack = TestStack::embedded().delay("50ms..500ms").start().await;
    let mut client = stack.client();
    let (hero, meal) = client.create_hero_and_meal().await;
    let mut placed = Vec::new();
    for _ in 0..4 {
        let placing = stream::iter(0..200).map(|_| client.place(hero, meal));
        placed.extend(
            placing.buffer_unordered(50).map(|order| id(&order)).collect::<Vec<i64>>().await,
        );
        stack.gateways.pop().expect("it runs").program.kill();
        client = stack.start_gateway().await;
    }
    client.until_none(&["PENDING", "IN_PROGRESS"]).await;
    assert_each_completed_once(&client, placed).await;
}

#[tokio::test]
async fn a_killed_service_accepts_all_or_nothing() {
    let (mut stack, client, hero, meal) =
        TestStack::embedded().delay("0s").start_with_hero_and_meal().await;
    let body = serde_json::json!({"hero_id": hero, "meal_id": meal});
    // The gateway dies while requests are in flight: answered ones are placed, the others may or
    // may not be.
    let requests = stream::iter(0..400).map(|number| {
        client
            .post("/orders", &body)
            .header("Idempotency-Key", &format!("order-{number}"))
            .try_send()
    });
    let mut answers = requests.buffer_unordered(50);
    let mut accepted = Vec::new();
    for _ in 0..100 {
        accepted.push(id(&answers.next().await.expect("400 were sent").expect("it lives").is(202)));
    }
    let mut gateway = stack.gateways.pop().expect("it runs");
    gateway.program.kill();
    while let Some(answer) = answers.next().await {
        accepted.extend(answer.ok().map(|answer| id(&answer.is(202))));
    }
    drop(answers);
    let client = stack.start_gateway().await;
    client.until_none(&["PENDING", "IN_PROGRESS"]).await;
    let stored: Vec<i64> = client.all("/orders").await.iter().map(id).collect();
    assert!(accepted.iter().all(|order| stored.contains(order)), "an accepted order is lost");
    // Repeating every request with its key fills the gaps and duplicates nothing.
    for number in 0..400 {
        client
            .post("/orders", &body)
            .header("Idempotency-Key", &format!("order-{number}"))
            .await
            .is(202);
    }
    client.until_none(&["PENDING", "IN_PROGRESS"]).await;
    assert_eq!(client.all("/orders").await.len(), 400);
}

#[tokio::test]
async fn a_client_resumes_across_the_crash() {
    let (mut stack, client, hero, meal) =
        TestStack::embedded().delay("200ms").start_with_hero_and_meal().await;
    let socket = client.connect(hero).await;
    let order = id(&client.place(hero, meal).await);
    stack.gateways.pop().expect("it runs").program.kill();
    let client = stack.start_gateway().await;
    let mut resumed = client.resume(hero, text(&socket.welcome, "cursor")).await;
    assert_eq!(text(&resumed.welcome, "resume"), "resumed");
    let welcomed = list(&resumed.welcome, "orders")
        .iter()
        .find(|seen| id(seen) == order)
        .expect("it changed since");
    if text(welcomed, "status") != "COMPLETED" {
        resumed.until_status(order, "COMPLETED").await;
    }
}
