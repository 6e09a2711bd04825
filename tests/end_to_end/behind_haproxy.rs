//! A balancer that polls `/readyz` refuses no client while the service can place orders.

use galley_tests::json::text;
use galley_tests::proxy::Ways;
use galley_tests::{Balancer, RedisServer, TestClient, TestStack, until};

/// The orders that are placed one after the other after each fault.
const ORDERS: usize = 20;

async fn until_it_says(client: &TestClient, status: &str) {
    until(status, async || {
        (text(&client.get("/readyz").await.json(), "status") == status).then_some(())
    })
    .await;
}

#[tokio::test]
async fn placing_goes_on_behind_a_balancer_while_redis_is_away() {
    let mut redis = RedisServer::start().await;
    let stack =
        TestStack::distributed().redis(redis.url()).gateways(2).delay("100ms").start().await;
    let mut proxy = Balancer::haproxy(&stack, "roundrobin").await;
    let client = proxy.client();
    let (hero, meal) = client.create_hero_and_meal().await;
    client.place_until(hero, meal, "COMPLETED").await;
    redis.kill();
    for gateway in 0..2 {
        until("a gateway without Redis", async || {
            client.place(hero, meal).await;
            let ready = stack.client_of(gateway).get("/readyz").await;
            assert_eq!(ready.status, 200, "it can place: {}", ready.text);
            let report = ready.json();
            // The last result of the probes is used for half a second.
            let without_bus = report["dependencies"][1]["ok"] == false;
            (text(&report, "status") == "degraded" && without_bus).then_some(())
        })
        .await;
    }
    for _ in 0..ORDERS {
        client.place(hero, meal).await;
    }
    for gateway in 0..2 {
        assert!(proxy.status(gateway).await.starts_with("UP"), "gateway {gateway} was taken out");
    }
    client.until_none(&["PENDING", "IN_PROGRESS"]).await;
    redis.restart().await;
    for gateway in 0..2 {
        until_it_says(&stack.client_of(gateway), "ready").await;
    }
}

#[tokio::test]
async fn a_gateway_that_is_deaf_alone_is_taken_out() {
    let (redis, link) = RedisServer::behind_proxy().await;
    let mut stack = TestStack::distributed().redis(redis.url()).delay("100ms").start().await;
    stack.set("REDIS_URL", &format!("redis://127.0.0.1:{}", link.port()));
    let cut_off = stack.start_gateway().await;
    let mut proxy = Balancer::haproxy(&stack, "roundrobin").await;
    let (hero, meal) = stack.client().create_hero_and_meal().await;
    link.stall(Ways { to_server: true, to_clients: true });
    proxy.until_status(1, "DOWN").await;
    until_it_says(&cut_off, "deaf").await;
    for _ in 0..ORDERS {
        proxy.client().place(hero, meal).await;
    }
    assert!(proxy.status(0).await.starts_with("UP"), "the other gateway hears");
    link.stall(Ways::default());
    proxy.until_status(1, "UP").await;
    until_it_says(&cut_off, "ready").await;
}
