//! Foreign entries on the dispatch queue do not stop the worker, and messages of a newer version do
//! not disturb a gateway.

use std::time::{SystemTime, UNIX_EPOCH};

use galley_tests::json::id;
use galley_tests::namespace::{TestNamespace, shared_redis};
use galley_tests::{MessageSigner, TestStack, until};
use serde_json::json;

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
    queue.add(&["traceparent", "00-4bf92f35-00f067aa-01", "o", &order.to_string()]).await;
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

#[tokio::test]
async fn messages_of_a_newer_version_are_passed_over_and_false_ones_reach_no_socket() {
    let stack = TestStack::distributed()
        .delay("0s")
        .set("GALLEY_LOG", "info,galley_bus=debug,galley_protocol=debug");
    let (mut stack, client, hero, meal) = stack.start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    let mut queue = stack.dispatch_queue().await;
    let signer = MessageSigner::of(stack.database_url()).await;
    let channel = queue.channel().to_owned();
    let sign = |message: String| signer.sign(&channel, &message);

    let first = id(&client.place(hero, meal).await);
    let mut order = socket.until_status(first, "PENDING").await;
    socket.until_status(first, "COMPLETED").await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    order["id"] = json!(7);
    let frame = json!({"type": "order", "order": order});
    let alien = json!({"type": "thanks", "order": order});
    order["version"] = json!(i32::MAX);
    let endless = json!({"type": "order", "order": order});
    for message in [
        "galley3-census 7 1 -".to_owned(),
        format!("galley3 2147483647 1 more\n{hero} 7 1 PENDING {now} more {frame}\n"),
        format!("galley3 2147483647 2\n{hero} 7 1 PENDING {now} {alien}\n"),
    ] {
        queue.publish(&sign(message)).await;
    }
    socket.until("the order of the newer message", |frame| frame["order"]["id"] == 7).await;
    stack.gateways[0].program.line("a message of an unknown kind is passed over").await;
    stack.gateways[0].program.line("an update of an unknown type is passed over").await;
    for (number, words, frame) in [
        (u64::MAX, format!("{hero} 7 1 PENDING {now}"), "soup".to_owned()),
        (3, format!("{hero} 7 {} PENDING {now}", i32::MAX), endless.to_string()),
        (3, format!("{hero} 8 1 PENDING {now}"), frame.to_string()),
    ] {
        queue.publish(&sign(format!("galley3 2147483647 {number}\n{words} {frame}\n"))).await;
    }

    let placed = id(&client.place(hero, meal).await);
    let is_end = |frame: &serde_json::Value| {
        let order = &frame["order"];
        assert!(order["id"] != 8 && order["version"] != i32::MAX, "{frame}");
        order["id"] == placed && order["status"] == "COMPLETED"
    };
    socket.until("the end of the true order", is_end).await;
    stack.gateways[0].program.line("a message on a channel is skipped").await;
}
