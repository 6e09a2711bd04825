//! The staff feed shows every change and the totals.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use galley_protocol::frame::Totals;
use galley_protocol::{Picture, Status};
use galley_tests::json::{id, list};
use galley_tests::test_socket::MAX_ENDED;
use galley_tests::wire_check::understand;
use galley_tests::{RedisServer, StackBuilder, TestStack, within};
use serde_json::{Value, json};

const ORDERS: usize = 200;

on_both_deployments!(the_last_frame_after_a_burst_has_exact_totals);
async fn the_last_frame_after_a_burst_has_exact_totals(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("0ms..100ms").start_with_hero_and_meal().await;
    let mut events = client.listen("/events?max_rate=50").await;
    assert_eq!(events.welcome["hero"], Value::Null);
    let begin = events.until_type("feed").await;
    assert_eq!((list(&begin, "orders").len(), &begin["totals"]), (0, &totals(0)));
    let mut staff = client.connect_with("").await;
    staff.reply(json!({"type": "watch"})).await;

    join_all((0..ORDERS).map(|_| client.place(hero, meal))).await;
    let by_events = async { hear_all(async || events.until_type("feed").await).await };
    let by_socket = async { hear_all(async || staff.until_type("feed").await).await };
    within("the end of the burst", async { tokio::join!(by_events, by_socket) }).await;
}

/// Reads `feed` frames until they and the totals contain the end of every order.
async fn hear_all(mut next: impl AsyncFnMut() -> Value) {
    let mut picture = Picture::new(MAX_ENDED);
    loop {
        let frame = next().await;
        picture.apply(&understand(&frame));
        let completed = picture.orders().filter(|order| order.status == Status::Completed).count();
        if completed == ORDERS && frame["totals"] == totals(ORDERS) {
            return;
        }
    }
}

fn totals(completed: usize) -> Value {
    let completed = i64::try_from(completed).expect("few orders");
    json!(Totals { completed, ..Totals::default() })
}

#[tokio::test]
async fn what_a_watcher_could_not_hear_comes_when_redis_is_back() {
    let mut redis = RedisServer::start().await;
    let stack = TestStack::distributed().gateways(2).redis(redis.url()).delay("0s").start().await;
    let (client, other) = (stack.client(), stack.client_of(1));
    let (hero, meal) = client.create_hero_and_meal().await;
    let mut events = client.listen("/events").await;
    let before = id(&client.place(hero, meal).await);
    let mut missing = BTreeMap::from([(before, 3)]);
    hear(&mut events, &mut missing).await;

    redis.kill();
    for _ in 0..3 {
        let order = other.place_until(hero, meal, "COMPLETED").await;
        missing.insert(order, 3);
    }
    let gone = *missing.keys().next().expect("there are three");
    assert_eq!(other.delete(&format!("/orders/{gone}")).await.status, 204);
    missing.insert(gone, 4);
    redis.restart().await;
    hear(&mut events, &mut missing).await;
}

/// Reads until each order was received in its version.
async fn hear(events: &mut galley_tests::Events, missing: &mut BTreeMap<i64, i64>) {
    let mut seen = Vec::new();
    while !missing.is_empty() {
        let frame = events.until_type("feed").await;
        let orders =
            list(&frame, "orders").iter().map(|order| (id(order), order["version"].as_i64()));
        let deleted = frame["deleted"].as_array().into_iter().flatten();
        let deleted = deleted.map(|deleted| {
            (deleted["order_id"].as_i64().expect("an id"), deleted["version"].as_i64())
        });
        seen.extend(orders.chain(deleted));
        missing.retain(|order, version| !seen.contains(&(*order, Some(*version))));
    }
}
