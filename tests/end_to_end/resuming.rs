//! A client that resumes with its cursor misses nothing.

use futures_util::stream::{self, StreamExt as _};
use galley_protocol::Status;
use galley_tests::json::{id, list, text, version};
use galley_tests::{StackBuilder, TestSocket};
use serde_json::{Value, json};

fn state_of(welcome: &Value, order: i64) -> Option<(String, i64)> {
    let found = list(welcome, "orders").iter().find(|seen| id(seen) == order)?;
    Some((text(found, "status").to_owned(), version(found)))
}

on_both_deployments!(what_changed_meanwhile_is_in_the_welcome);
async fn what_changed_meanwhile_is_in_the_welcome(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("0s").start_with_hero_and_meal().await;
    let socket = client.connect(hero).await;
    let cursor = text(&socket.welcome, "cursor").to_owned();
    socket.close().await;

    let order = client.place_until(hero, meal, "COMPLETED").await;
    let socket = client.resume(hero, &cursor).await;
    assert_eq!(text(&socket.welcome, "resume"), "resumed");
    assert_eq!(
        state_of(&socket.welcome, order),
        Some(("COMPLETED".to_owned(), 3)),
        "{}",
        socket.welcome
    );
    let later = text(&socket.welcome, "cursor").to_owned();
    socket.close().await;

    assert_eq!(client.delete(&format!("/orders/{order}")).await.status, 204);
    for cursor in [cursor, later] {
        let socket = client.resume(hero, &cursor).await;
        assert_eq!(list(&socket.welcome, "deleted"), [json!({"order_id": order, "version": 4})]);
        assert_eq!(state_of(&socket.welcome, order), None);
    }
    let fresh = client.connect(hero).await.welcome;
    assert_eq!(
        (text(&fresh, "resume"), state_of(&fresh, order), &fresh["deleted"]),
        ("fresh", None, &Value::Null)
    );
}

on_both_deployments!(every_cursor_ever_seen_leads_to_the_present);
async fn every_cursor_ever_seen_leads_to_the_present(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("20ms").start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    let mut cursors = vec![text(&socket.welcome, "cursor").to_owned()];
    let mut orders = Vec::new();
    for _ in 0..5 {
        let order = id(&client.place(hero, meal).await);
        loop {
            let frame = socket.until_type("order").await;
            cursors.push(text(&frame, "cursor").to_owned());
            if frame["order"]["status"] == "COMPLETED" {
                break;
            }
        }
        orders.push((order, cursors.len() - 1));
    }
    for (at, cursor) in cursors.iter().enumerate() {
        let welcome = client.resume(hero, cursor).await.welcome;
        for (order, _) in orders.iter().filter(|(_, last)| *last > at) {
            assert_eq!(
                state_of(&welcome, *order),
                Some(("COMPLETED".to_owned(), 3)),
                "cursor {at}"
            );
        }
    }
}

on_both_deployments!(a_cursor_that_is_too_old_begins_anew);
async fn a_cursor_that_is_too_old_begins_anew(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("1h").start_with_hero_and_meal().await;
    let order = client.place_until(hero, meal, "IN_PROGRESS").await;
    let socket = client.resume(hero, "r1.1").await;
    assert_eq!(text(&socket.welcome, "resume"), "resynced");
    assert_eq!(state_of(&socket.welcome, order), Some(("IN_PROGRESS".to_owned(), 2)));
}

on_both_deployments!(what_does_not_fit_into_the_welcome_follows_in_resyncs);
async fn what_does_not_fit_into_the_welcome_follows_in_resyncs(stack: StackBuilder) {
    // More ended orders than a welcome contains.
    const ORDERS: usize = 2_100;
    let (_stack, client, hero, meal) = stack.delay("0s").start_with_hero_and_meal().await;
    let cursor = text(&client.connect(hero).await.welcome, "cursor").to_owned();
    let placing = stream::iter(0..ORDERS).map(|_| client.place(hero, meal));
    assert_eq!(placing.buffer_unordered(100).count().await, ORDERS);
    client.until_none(&["PENDING", "IN_PROGRESS"]).await;

    let mut socket = client.resume(hero, &cursor).await;
    assert_eq!(
        (text(&socket.welcome, "resume"), text(&socket.welcome, "cursor")),
        ("resumed", cursor.as_str())
    );
    let completed = |socket: &TestSocket| {
        socket.picture.orders().filter(|order| order.status == Status::Completed).count()
    };
    while completed(&socket) < ORDERS {
        socket.until_type("resync").await;
    }
    let cursor = socket.picture.cursor().expect("a cursor").to_string();
    let welcome = client.resume(hero, &cursor).await.welcome;
    assert_eq!(text(&welcome, "resume"), "resumed");
}
