//! Without Redis orders are placed, cancelled and processed; only pushing between processes waits.

use galley_tests::json::{id, text, version};
use galley_tests::{RedisServer, Stack, until};
use serde_json::json;

#[tokio::test]
async fn without_redis_orders_are_still_placed_cancelled_and_completed() {
    let mut redis = RedisServer::start().await;
    let stack = Stack::distributed().redis(redis.url()).delay("300ms").start().await;
    let client = stack.client();
    let (hero, meal) = client.create_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    let before = id(&client.place(hero, meal).await);
    socket.until_status(before, "COMPLETED").await;

    redis.kill();
    let order = id(&client.place(hero, meal).await);
    client.until_status(order, "COMPLETED").await;
    let other = id(&client.place(hero, meal).await);
    let cancelled = client.cancel(other).await.is(200);
    assert_eq!(text(&cancelled, "status"), "CANCELLED");
    let ready = until("a deaf gateway", async || Some(client.get("/readyz").await).filter(|ready| ready.status == 503)).await;
    assert_eq!(text(&ready.json(), "status"), "deaf");
    let by_socket = id(&socket.reply(json!({"type": "place", "meal_id": meal})).await["order"]);
    client.until_status(by_socket, "COMPLETED").await;

    redis.restart().await;
    // The socket was never closed, and is told what it could not hear.
    let mut missing = vec![(order, "COMPLETED", 3), (other, "CANCELLED", version(&cancelled)), (by_socket, "COMPLETED", 3)];
    while !missing.is_empty() {
        let is_news = |frame: &serde_json::Value| frame["type"] == "order" || frame["type"] == "resync";
        let frame = socket.until("what happened meanwhile", is_news).await;
        let told = frame["orders"].as_array().cloned().unwrap_or_else(|| vec![frame["order"].clone()]);
        let is_told = |&(order, status, number): &(i64, &str, i64)| {
            told.iter().any(|told| id(told) == order && text(told, "status") == status && version(told) == number)
        };
        missing.retain(|order| !is_told(order));
    }
    until("a ready gateway", async || Some(client.get("/readyz").await).filter(|ready| ready.status == 200)).await;
    let after = id(&client.place(hero, meal).await);
    socket.until_status(after, "COMPLETED").await;
}

#[tokio::test]
async fn a_redis_that_lost_everything_loses_no_order() {
    let mut redis = RedisServer::start().await;
    let mut stack = Stack::distributed().redis(redis.url()).workers(0).delay("0s").start().await;
    let client = stack.client();
    let (hero, meal) = client.create_hero_and_meal().await;
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
    assert_eq!(client.resume(hero, &cursor).await.welcome["orders"].as_array().map(Vec::len), Some(20));
    until("a ready gateway", async || Some(client.get("/readyz").await).filter(|ready| ready.status == 200)).await;
    let after = id(&client.place(hero, meal).await);
    socket.until_status(after, "COMPLETED").await;
}
