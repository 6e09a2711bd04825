//! A gateway that receives no updates notices it, reports it, and repairs its sockets once updates
//! arrive again.

use std::time::{Duration, Instant};

use galley_tests::follower::everybody;
use galley_tests::json::{id, text};
use galley_tests::proxy::Ways;
use galley_tests::{Follower, RedisServer, TestClient, TestStack, Truth, until};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The longest time until it notices: the promise is 5 s, the remainder is slack for a busy
/// machine.
const NOTICED: Duration = Duration::from_secs(10);
const ORDERS: usize = 10;

/// Waits until the gateway reports with this word that it receives no updates, and expects that
/// within the bound.
async fn until_deaf(client: &TestClient, word: &str, since: Instant) {
    until("a deaf gateway", async || {
        let ready = client.get("/readyz").await;
        let status = text(&ready.json(), "status").to_owned();
        assert_eq!(ready.status == 200, matches!(&*status, "ready" | "degraded"), "{}", ready.text);
        (status == word).then_some(())
    })
    .await;
    let took = since.elapsed();
    println!("{word} after {took:?}");
    assert!(took <= NOTICED, "deaf for {took:?} before it noticed");
}

async fn until_ready(client: &TestClient) {
    let is_ready =
        async || (text(&client.get("/readyz").await.json(), "status") == "ready").then_some(());
    until("a ready gateway", is_ready).await;
}

/// Places orders at each gateway and cancels some.
async fn order(gateways: &[TestClient], hero: i64, meal: i64) {
    for number in 0..ORDERS {
        for client in gateways {
            let order = id(&client.place(hero, meal).await);
            if number % 3 == 0 {
                let answer = client.cancel(order).await;
                assert!(matches!(answer.status, 200 | 409), "{answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_redis_that_is_silent_makes_every_gateway_deaf_and_loses_nothing() {
    let mut redis = RedisServer::start().await;
    let stack =
        TestStack::distributed().redis(redis.url()).gateways(2).delay("200ms").start().await;
    let gateways = [stack.client_of(0), stack.client_of(1)];
    let (hero, meal) = gateways[0].create_hero_and_meal().await;
    let (tell, truth) = watch::channel(None);
    let mut kept = JoinSet::new();
    for gateway in &gateways {
        kept.spawn(Follower::open(gateway.base(), hero, None).await.until_equal(truth.clone()));
    }
    order(&gateways, hero, meal).await;
    gateways[0].until_none(&["PENDING", "IN_PROGRESS"]).await;

    redis.pause();
    let paused = Instant::now();
    tokio::join!(
        until_deaf(&gateways[0], "degraded", paused),
        until_deaf(&gateways[1], "degraded", paused)
    );
    order(&gateways, hero, meal).await;
    let settled = Truth::settled(&gateways[0], &[hero]).await;
    assert_eq!(settled.of(hero).len(), 2 * gateways.len() * ORDERS);
    redis.go_on();
    tell.send_replace(Some(settled));
    everybody(kept).await;
    for gateway in &gateways {
        until_ready(gateway).await;
    }
}

#[tokio::test]
async fn a_gateway_whose_network_swallows_updates_is_deaf_alone_and_catches_up() {
    let (redis, proxy) = RedisServer::behind_proxy().await;
    let mut stack = TestStack::distributed().redis(redis.url()).delay("100ms").start().await;
    stack.set("REDIS_URL", &format!("redis://127.0.0.1:{}", proxy.port()));
    let gateways = [stack.client(), stack.start_gateway().await];
    let [hearing, cut_off] = &gateways;
    let (hero, meal) = hearing.create_hero_and_meal().await;
    let (mut near, mut far) = (
        Follower::open(hearing.base(), hero, None).await,
        Follower::open(cut_off.base(), hero, None).await,
    );
    // The updates held back arrive late, or never.
    for (to_server, lost) in [(true, false), (false, true)] {
        proxy.stall(Ways { to_server, to_clients: true });
        until_deaf(cut_off, "deaf", Instant::now()).await;
        order(&gateways, hero, meal).await;
        let settled = Truth::settled(hearing, &[hero]).await;
        assert_eq!(hearing.get("/readyz").await.status, 200, "the other gateway hears");
        let (_tell, truth) = watch::channel(Some(settled));
        if lost {
            proxy.cut();
        }
        proxy.stall(Ways::default());
        until_ready(cut_off).await;
        let (hears, is_told) =
            tokio::join!(near.until_equal(truth.clone()), far.until_equal(truth));
        (near, far) = (hears.expect("it hears"), is_told.expect("it is told"));
    }
    assert!(cut_off.metric("galley_repairs_total").await > 0, "what was lost was read");
}
