//! Without `PostgreSQL` every request is refused at once, and the service recovers by itself.

use std::time::{Duration, Instant};

use galley_tests::json::{id, list, text};
use galley_tests::{PostgresServer, TestStack, until};
use serde_json::json;

#[tokio::test]
async fn without_postgres_every_request_is_refused_soon_and_the_service_recovers() {
    let mut postgres = PostgresServer::start().await;
    let stack = TestStack::distributed().postgres(postgres.url()).delay("1s");
    let (_stack, client, hero, meal) = stack.start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    let mut orders = vec![id(&client.place(hero, meal).await)];
    client.until_status(orders[0], "IN_PROGRESS").await;

    postgres.stop().await;
    for call in [
        client.post("/orders", &json!({"hero_id": hero, "meal_id": meal})),
        client.get("/heroes"),
        client.get("/orders/1"),
        client.cancel(orders[0]),
        client.post("/heroes", &json!({"name": "A", "planet": "B"})),
    ] {
        let began = Instant::now();
        let answer = call.await;
        assert!(
            began.elapsed() < Duration::from_secs(4),
            "{} took {:?}",
            answer.question,
            began.elapsed()
        );
        let seconds: u64 =
            answer.header("retry-after").parse().unwrap_or_else(|_| panic!("{answer:?}"));
        assert!(seconds >= 1);
        answer.problem(503, "unavailable");
    }
    let problem = socket.problem(json!({"type": "place", "meal_id": meal})).await;
    assert_eq!(text(&problem, "type"), "/problems/unavailable");
    assert!(problem["retry_after_ms"].as_u64().is_some_and(|pause| pause > 0), "{problem}");
    let ready = client.get("/readyz").await;
    assert_eq!((ready.status, text(&ready.json(), "status")), (503, "unavailable"));
    assert_eq!(client.get("/healthz").await.status, 200);

    let failed = r#"galley_database_errors_total{operation="place",kind="unavailable"}"#;
    assert!(client.metric(failed).await > 0, "{failed}");
    postgres.restart().await;
    until("a ready gateway", async || {
        Some(client.get("/readyz").await).filter(|ready| ready.status == 200)
    })
    .await;
    client.until_status(orders[0], "COMPLETED").await;
    orders.push(id(&client.place(hero, meal).await));
    socket.until_status(orders[1], "COMPLETED").await;
    let stored = client.get("/orders").await.is(200);
    assert!(
        list(&stored, "items").iter().all(|order| text(order, "status") == "COMPLETED"),
        "{stored}"
    );
}
