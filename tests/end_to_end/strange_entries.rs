//! Foreign entries on the dispatch queue do not stop the worker.

use galley_tests::json::id;
use galley_tests::namespace::{TestNamespace, shared_redis};
use galley_tests::{TestStack, until};

/// Everything runs in one process, but on Redis, because a separate worker does not expose its
/// counters.
#[tokio::test]
async fn entries_that_mean_nothing_are_acknowledged_counted_and_told_and_orders_go_on() {
    let (url, namespace) = (shared_redis(), TestNamespace::fresh(&shared_redis()));
    let stack = TestStack::embedded()
        .set("REDIS_URL", &url)
        .set("GALLEY_NAMESPACE", &namespace.name)
        .delay("0s");
    let (mut stack, client, hero, meal) = stack.start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    let mut queue = stack.dispatch_queue().await;

    let malformed: [&[&[u8]]; 5] = [
        &[b"x", b"1"],
        &[b"o", b"soup"],
        &[b"o", b"-7"],
        &[b"o", b"1", b"o", b"2"],
        &[b"\xff", b"\xfe"],
    ];
    for fields in malformed {
        queue.add(fields).await;
    }
    queue.add(&[&b"o"[..], b"999999999"]).await; // an unknown order
    let order = id(&client.place(hero, meal).await);
    socket.until_status(order, "COMPLETED").await;
    queue.add(&[&b"o"[..], order.to_string().as_bytes()]).await; // an ended order
    let next = id(&client.place(hero, meal).await);
    socket.until_status(next, "COMPLETED").await; // read in order: so were the earlier ones

    until("no entry is pending", async || (queue.pending().await == 0).then_some(())).await;
    stack.gateways[0].program.line("a malformed entry is taken off the queue").await;
    let metrics = client.get("/metrics").await.text;
    let counted = format!("galley_queue_malformed_total {}", malformed.len());
    assert!(metrics.lines().any(|line| line == counted), "{metrics}");
    assert_eq!(client.all("/orders").await.iter().map(id).collect::<Vec<_>>(), [next, order]);
    assert_eq!(client.order(order).await["version"], 3);
}
