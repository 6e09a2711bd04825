//! No live connection receives an older state of an order after a newer one, whichever was
//! published first.

use std::collections::HashMap;

use galley_tests::json::{id, list};
use galley_tests::proxy::Ways;
use galley_tests::{TestClient, until};
use serde_json::{Value, json};

use crate::cut_off::with_a_worker_behind_a_proxy;

/// Waits until the gateway has received this many updates.
async fn until_heard(client: &TestClient, updates: u64) {
    until("what was published", async || {
        (client.metric("galley_updates_heard_total").await >= updates).then_some(())
    })
    .await;
}

/// Reads until a frame contains this order; expects that the versions of each order never decrease.
async fn expect_order(whose: &str, last: i64, mut next: impl AsyncFnMut() -> Value) {
    let mut seen = HashMap::new();
    while !seen.contains_key(&last) {
        let frame = next().await;
        let orders = list_or_none(&frame, "orders")
            .chain(frame["order"].is_object().then(|| frame["order"].clone()));
        for order in orders {
            let (id, version) = (id(&order), order["version"].as_i64().expect("a version"));
            let before = seen.insert(id, version).unwrap_or(0);
            assert!(before <= version, "{whose}: order {id} has version {before}, then {version}");
        }
    }
}

fn list_or_none<'a>(frame: &'a Value, field: &str) -> impl Iterator<Item = Value> + use<'a> {
    let orders = if frame[field].is_array() { list(frame, field) } else { &[] };
    orders.iter().cloned()
}

#[tokio::test]
async fn a_publisher_that_is_held_up_shows_nobody_an_older_state() {
    let (redis, proxy, stack) = with_a_worker_behind_a_proxy("1h").await;
    let client = stack.client();
    let (hero, meal) = client.create_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    let mut events = client.listen(&format!("/heroes/{hero}/events")).await;
    let mut feed = client.listen("/events?max_rate=50").await;
    let mut staff = client.connect_with("").await;
    staff.reply(json!({"type": "watch", "max_rate": 50})).await;
    client.place_until(hero, meal, "IN_PROGRESS").await;
    until_heard(&client, 2).await;

    until("a worker that waits for an entry", async || {
        let clients = redis.ask::<String>(&["CLIENT", "LIST"]).await;
        clients
            .lines()
            .any(|client| client.contains("cmd=xreadgroup") && client.contains("flags=b"))
            .then_some(())
    })
    .await;

    // The worker claims the next order, but its message is held back until the order has ended.
    proxy.stall(Ways { to_server: true, to_clients: false });
    let order = client.place_until(hero, meal, "IN_PROGRESS").await;
    client.cancel(order).await.is(200);
    until_heard(&client, 4).await;
    proxy.stall(Ways::default());
    until_heard(&client, 5).await;

    let last = id(&client.place(hero, meal).await);
    expect_order("a socket", last, async || socket.next().await).await;
    expect_order("an event stream", last, async || events.next().await).await;
    expect_order("a feed", last, async || feed.next().await).await;
    expect_order("a watch", last, async || staff.next().await).await;
}
