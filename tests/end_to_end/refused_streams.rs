//! Temporary refusals of event streams are sent as streams, because a browser takes any other
//! answer for final.

use galley_tests::{StackBuilder, TestAnswer, TestClient};
use serde_json::Value;

async fn ask(client: &TestClient, path: &str) -> TestAnswer {
    client.get(path).header("Accept", "text/event-stream").await
}

/// Expects a stream that sends a problem and a `retry`, and ends; returns the problem.
fn refused(answer: &TestAnswer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    assert_eq!(answer.headers["cache-control"], "no-store");
    let field = |name: &str| {
        answer
            .text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_else(|| panic!("{answer:?}"))
    };
    assert_eq!(field("event: "), "error");
    assert!(!answer.text.contains("id: "), "the last id stays: {answer:?}");
    let retry: u64 = field("retry: ").parse().expect("milliseconds");
    let frame: Value = serde_json::from_str(field("data: ")).expect("JSON");
    assert_eq!(frame["type"], "error");
    assert!(frame["problem"]["retry_after_ms"].as_u64().expect("a wait") <= retry, "{answer:?}");
    assert!(answer.text.ends_with("\n\n"));
    frame["problem"].clone()
}

on_both_deployments!(a_refusal_that_passes_is_a_stream_for_who_asks_for_one);
async fn a_refusal_that_passes_is_a_stream_for_who_asks_for_one(stack: StackBuilder) {
    let (_stack, client, hero, _) =
        stack.set("GALLEY_MAX_SOCKETS_PER_HERO", "1").start_with_hero_and_meal().await;
    let path = format!("/heroes/{hero}/events");
    let _events = client.listen(&path).await;
    assert_eq!(refused(&ask(&client, &path).await)["type"], "/problems/too-many-sockets");
    client.get(&path).await.problem(429, "too-many-sockets");
    client.get(&path).header("Accept", "text/*, */*").await.problem(429, "too-many-sockets");

    ask(&client, &format!("/heroes/{}/events", hero + 1)).await.problem(404, "hero-not-found");
    ask(&client, "/heroes/x/events").await.problem(400, "invalid-parameter");
    ask(&client, "/events?max_rate=0").await.problem(400, "invalid-parameter");
}

on_both_deployments!(a_full_gateway_says_when_to_come_back);
async fn a_full_gateway_says_when_to_come_back(stack: StackBuilder) {
    let stack = stack.set("GALLEY_MAX_SOCKETS", "1").set("GALLEY_REST_RATE", "1/min burst 4");
    let (_stack, client, hero, _) = stack.start_with_hero_and_meal().await;
    let _events = client.listen("/events").await;
    let path = format!("/heroes/{hero}/events");
    assert_eq!(refused(&ask(&client, &path).await)["type"], "/problems/overloaded");
    assert_eq!(refused(&ask(&client, &path).await)["type"], "/problems/rate-limited");
    client.get(&path).await.problem(429, "rate-limited");
}
