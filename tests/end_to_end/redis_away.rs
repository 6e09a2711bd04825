//! Without Redis orders are placed, cancelled and processed; only pushes between processes are
//! delayed.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use galley_tests::json::{id, text, version};
use galley_tests::{RedisServer, TestClient, TestStack, until};
use serde_json::json;

#[tokio::test]
async fn without_redis_orders_are_still_placed_cancelled_and_completed() {
    let mut redis = RedisServer::start().await;
    let (_stack, client, hero, meal) =
        TestStack::distributed().redis(redis.url()).delay("300ms").start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    let before = id(&client.place(hero, meal).await);
    socket.until_status(before, "COMPLETED").await;

    redis.kill();
    let order = client.place_until(hero, meal, "COMPLETED").await;
    let other = id(&client.place(hero, meal).await);
    let cancelled = client.cancel(other).await.is(200);
    assert_eq!(text(&cancelled, "status"), "CANCELLED");
    until("a gateway that hears no others", async || {
        let ready = client.get("/readyz").await;
        assert_eq!(ready.status, 200, "it can place: {}", ready.text);
        (text(&ready.json(), "status") == "degraded").then_some(())
    })
    .await;
    let by_socket = id(&socket.reply(json!({"type": "place", "meal_id": meal})).await["order"]);
    client.until_status(by_socket, "COMPLETED").await;

    redis.restart().await;
    // The socket was never closed, and receives the missed updates.
    let mut missing = vec![
        (order, "COMPLETED", 3),
        (other, "CANCELLED", version(&cancelled)),
        (by_socket, "COMPLETED", 3),
    ];
    while !missing.is_empty() {
        let is_news =
            |frame: &serde_json::Value| frame["type"] == "order" || frame["type"] == "resync";
        let frame = socket.until("what happened meanwhile", is_news).await;
        let told =
            frame["orders"].as_array().cloned().unwrap_or_else(|| vec![frame["order"].clone()]);
        let is_told = |&(order, status, number): &(i64, &str, i64)| {
            told.iter().any(|told| {
                id(told) == order && text(told, "status") == status && version(told) == number
            })
        };
        missing.retain(|order| !is_told(order));
    }
    until("a ready gateway", async || {
        Some(client.get("/readyz").await).filter(|ready| ready.status == 200)
    })
    .await;
    let after = id(&client.place(hero, meal).await);
    socket.until_status(after, "COMPLETED").await;
}

/// The length of the outage: longer than any time-out, wait or back-off of the programs.
const AWAY: Duration = Duration::from_secs(30);

#[tokio::test]
async fn while_redis_is_gone_for_half_a_minute_placing_and_processing_never_stop() {
    let mut redis = RedisServer::start().await;
    let stack =
        TestStack::distributed().redis(redis.url()).gateways(2).delay("100ms").start().await;
    let (hero, meal) = stack.client().create_hero_and_meal().await;
    let before = id(&stack.client().place(hero, meal).await);
    stack.client().until_status(before, "COMPLETED").await;
    redis.kill();
    let gone = Instant::now();
    // Each of eight clients waits for the end of its order before it places the next one.
    let order_on = async |client: TestClient| {
        let (mut orders, mut longest) = (Vec::new(), Duration::ZERO);
        while gone.elapsed() < AWAY {
            let placed = Instant::now();
            orders.push(id(&client.place(hero, meal).await));
            client.until_status(orders[orders.len() - 1], "COMPLETED").await;
            longest = longest.max(placed.elapsed());
        }
        (orders, longest)
    };
    let clients = (0..8).map(|n| order_on(stack.client_of(n % 2)));
    let results = join_all(clients).await;
    let longest = results.iter().map(|(_, longest)| *longest).max().expect("clients");
    let mut orders: Vec<i64> = results.into_iter().flat_map(|(orders, _)| orders).collect();
    println!(
        "{} orders were placed and completed without Redis, the slowest in {longest:?}",
        orders.len()
    );
    redis.restart().await;
    orders.push(before);
    crate::many::assert_each_completed_once(&stack.client(), orders).await;
}

#[tokio::test]
async fn a_redis_that_lost_everything_loses_no_order() {
    let mut redis = RedisServer::start().await;
    let (mut stack, client, hero, meal) = TestStack::distributed()
        .redis(redis.url())
        .workers(0)
        .delay("0s")
        .start_with_hero_and_meal()
        .await;
    let mut socket = client.connect(hero).await;
    let mut orders = Vec::new();
    for _ in 0..20 {
        orders.push(id(&client.place(hero, meal).await));
    }
    redis.kill();
    redis.restart().await;
    stack.start_worker();
    client.until_none(&["PENDING", "IN_PROGRESS"]).await;
    crate::many::assert_each_completed_once(&client, orders).await;
    let cursor = text(&socket.welcome, "cursor").to_owned();
    assert_eq!(
        client.resume(hero, &cursor).await.welcome["orders"].as_array().map(Vec::len),
        Some(20)
    );
    until("a ready gateway", async || {
        Some(client.get("/readyz").await).filter(|ready| ready.status == 200)
    })
    .await;
    let after = id(&client.place(hero, meal).await);
    socket.until_status(after, "COMPLETED").await;
}
