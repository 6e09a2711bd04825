//! Old sockets and event streams are closed, so that gateways share the load again.

use std::time::{Duration, Instant};

use galley_tests::StackBuilder;
use galley_tests::json::{id, text};
use serde_json::json;

/// The least age: below the setting by up to a tenth.
const YOUNGEST: Duration = Duration::from_millis(1_800);

on_both_deployments!(an_old_socket_is_sent_away_and_misses_nothing);
async fn an_old_socket_is_sent_away_and_misses_nothing(stack: StackBuilder) {
    let (_stack, client, hero, meal) =
        stack.set("GALLEY_MAX_SOCKET_AGE", "2s").delay("1h").start_with_hero_and_meal().await;
    let began = Instant::now();
    let mut socket = client.connect(hero).await;
    let cursor = text(&socket.welcome, "cursor").to_owned();
    assert_eq!(socket.ask(json!({"type": "ping"})).await["type"], "pong");
    let hint = socket.until_type("reconnect").await["after_ms"].as_u64().expect("a number");
    assert!(began.elapsed() >= YOUNGEST, "sent away after {:?}", began.elapsed());
    assert!(hint < 1_000, "there is no reason to stay away: {hint} ms");
    assert_eq!(socket.close_code().await, 1012);
    let order = id(&client.place(hero, meal).await);
    let socket = client.resume(hero, &cursor).await;
    assert_eq!(
        (text(&socket.welcome, "resume"), id(&socket.welcome["orders"][0])),
        ("resumed", order)
    );
}

on_both_deployments!(an_old_event_stream_is_sent_away_and_misses_nothing);
async fn an_old_event_stream_is_sent_away_and_misses_nothing(stack: StackBuilder) {
    let (_stack, client, hero, _) =
        stack.set("GALLEY_MAX_SOCKET_AGE", "2s").delay("1h").start_with_hero_and_meal().await;
    for path in [format!("/heroes/{hero}/events"), "/events".to_owned()] {
        let began = Instant::now();
        let mut events = client.listen(&path).await;
        events.until_type("reconnect").await;
        assert!(began.elapsed() >= YOUNGEST, "sent away after {:?}", began.elapsed());
        assert!(events.retry.is_some_and(|retry| retry < 1_000), "{:?}", events.retry);
        events.until_end().await;
        let call = client.get(&path).header("Last-Event-ID", &events.last_event_id);
        let events = call.listen().await.unwrap_or_else(|answer| panic!("{answer:?}"));
        assert_eq!(text(&events.welcome, "resume"), "resumed");
    }
}
