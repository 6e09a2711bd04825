//! A watcher of the staff feed misses nothing, neither when it is slow nor while it is
//! disconnected.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use futures_util::stream;
use galley_tests::json::{id, list, text};
use galley_tests::{StackBuilder, TestClient, TestStack};
use serde_json::{Value, json};

const ORDERS: usize = 2_000;
const FEW: usize = 20;

async fn place(client: &TestClient, hero: i64, meal: i64, orders: usize) -> Vec<i64> {
    let placing = (0..orders).map(|_| async { id(&client.place_at_last(hero, meal).await) });
    let placed = stream::iter(placing).buffer_unordered(100).collect::<Vec<_>>().await;
    client.until_none(&["PENDING", "IN_PROGRESS"]).await;
    placed
}

/// Applies a frame; keeps the newest version of each order.
fn take(frame: &Value, seen: &mut BTreeMap<i64, i64>) {
    let orders = list(frame, "orders").iter().map(|order| (id(order), order["version"].as_i64()));
    let deleted = frame["deleted"].as_array().into_iter().flatten();
    let deleted = deleted
        .map(|deleted| (deleted["order_id"].as_i64().expect("an id"), deleted["version"].as_i64()));
    for (id, version) in orders.chain(deleted) {
        let version = version.expect("a version");
        let known = seen.entry(id).or_insert(version);
        assert!(*known <= version, "order {id} has version {known}, then {version}");
        *known = version;
    }
}

async fn until_all(orders: &[i64], version: i64, mut next: impl AsyncFnMut() -> Value) {
    let mut seen = BTreeMap::new();
    while !orders.iter().all(|order| seen.get(order) == Some(&version)) {
        take(&next().await, &mut seen);
    }
}

on_both_deployments!(a_watcher_that_does_not_read_for_a_while_misses_nothing);
async fn a_watcher_that_does_not_read_for_a_while_misses_nothing(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("0s").start_with_hero_and_meal().await;
    let mut staff = client.connect_with("").await;
    let watching = staff.reply(json!({"type": "watch"})).await;
    assert!(watching["cursor"].is_string() && watching["resume"].is_null(), "{watching}");
    let mut events = client.listen("/events").await;
    let orders = place(&client, hero, meal, ORDERS).await;
    until_all(&orders, 3, async || staff.until_type("feed").await).await;
    until_all(&orders, 3, async || events.until_type("feed").await).await;
}

on_both_deployments!(a_watch_resumes_where_it_was_left);
async fn a_watch_resumes_where_it_was_left(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("0s").start_with_hero_and_meal().await;
    let mut staff = client.connect_with("").await;
    let cursor = text(&staff.reply(json!({"type": "watch"})).await, "cursor").to_owned();
    let events = client.listen("/events").await;
    let last_event_id = events.last_event_id.clone();
    staff.close().await;
    drop(events);

    let orders = place(&client, hero, meal, FEW).await;
    let (gone, kept) = orders.split_first().expect("some");
    assert_eq!(client.delete(&format!("/orders/{gone}")).await.status, 204);

    let mut staff = client.connect_with("").await;
    let watching = staff.reply(json!({"type": "watch", "cursor": cursor})).await;
    assert_eq!(watching["resume"], "resumed");
    let calls = [
        client.get("/events").header("Last-Event-ID", &last_event_id),
        client.get(&format!("/events?cursor={last_event_id}")),
    ];
    let mut seen = BTreeMap::new();
    while seen.get(gone) != Some(&4) || kept.iter().any(|order| seen.get(order) != Some(&3)) {
        take(&staff.until_type("feed").await, &mut seen);
    }
    for call in calls {
        let mut events = call.listen().await.unwrap_or_else(|answer| panic!("{answer:?}"));
        assert_eq!(text(&events.welcome, "resume"), "resumed");
        until_all(kept, 3, async || events.until_type("feed").await).await;
    }

    let watching = staff.reply(json!({"type": "watch", "cursor": "a foreign one"})).await;
    assert_eq!(watching["resume"], "resynced");
    let events =
        client.get("/events?cursor=x").listen().await.unwrap_or_else(|answer| panic!("{answer:?}"));
    assert_eq!(text(&events.welcome, "resume"), "resynced");
}

#[tokio::test]
async fn another_gateway_resumes_a_watch_with_its_filter() {
    let stack = TestStack::distributed().gateways(2).delay("0s").start().await;
    let (client, other) = (stack.client(), stack.client_of(1));
    let (hero, meal) = client.create_hero_and_meal().await;
    let stranger = client.create_hero("Ann", &[]).await;
    let mut staff = client.connect_with("").await;
    let watch = json!({"type": "watch", "hero_id": hero, "status": ["COMPLETED"]});
    let cursor = text(&staff.reply(watch.clone()).await, "cursor").to_owned();
    staff.close().await;
    place(&client, stranger, meal, FEW).await;
    let orders = place(&client, hero, meal, FEW).await;
    let mut staff = other.connect_with("").await;
    let mut watch = watch;
    watch["cursor"] = cursor.into();
    assert_eq!(staff.reply(watch).await["resume"], "resumed");
    let mut seen = BTreeMap::new();
    while seen.len() < FEW {
        take(&staff.until_type("feed").await, &mut seen);
    }
    assert!(seen.keys().all(|order| orders.contains(order)), "{seen:?}");
}
