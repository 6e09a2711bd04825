//! What others may write into Redis.

use galley_bus::SubscriptionEvent;
use galley_protocol::UpdateBatch;
use redis::Value;

use crate::bus_stage::{
    BusKind, BusStage, eventually, hear, hear_updates, ids, order, publisher, take, update,
};

#[tokio::test]
async fn a_malformed_entry_is_acknowledged_and_the_others_are_read() {
    let stage = BusStage::new(BusKind::Redis).await;
    let (stream, _) = stage.names();
    let mut queue = stage.queue(1).await;
    for fields in [&["x", "1"][..], &["o", "soup"], &["o", "0"], &["o", "1", "o", "2"]] {
        stage.raw(redis::cmd("XADD").arg(&stream).arg("*").arg(fields)).await;
    }
    stage.raw(redis::cmd("XADD").arg(&stream).arg("*").arg(b"\xff\xfe").arg(b"\xff")).await;
    let newer = ["traceparent", "00-4bf92f35-00f067aa-01", "o", "6", "x", ""];
    stage.raw(redis::cmd("XADD").arg(&stream).arg("*").arg(&newer)).await;
    stage.bus.publish(&[], &[order(7)]).await.expect("a healthy bus");
    let entries = take(&mut *queue, 2).await;
    assert_eq!(ids(&entries), [6, 7]);
    let pending = || async { stage.raw(redis::cmd("XPENDING").arg(&stream).arg("workers")).await };
    let Value::Array(summary) = pending().await else { panic!("no summary") };
    assert_eq!(summary[0], Value::Int(2), "only the good entries are pending");
    queue.settle(&entries, &[]).await.expect("a healthy bus");
    let Value::Array(summary) = pending().await else { panic!("no summary") };
    assert_eq!(summary[0], Value::Int(0));
}

#[tokio::test]
async fn a_hole_in_the_running_number_is_a_gap_before_the_batch_whatever_is_forged() {
    let stage = BusStage::new(BusKind::Redis).await;
    let mut subscription = stage.bus.subscribe().await.expect("a healthy bus");
    let (_, channel) = stage.names();
    for (number, is_signed) in [(1, true), (3, false), (2, true), (u64::MAX, true), (4, true)] {
        let message = UpdateBatch::encode(publisher(7), number, &[update(1)]);
        let message = if is_signed { stage.sign(&message) } else { message };
        stage.raw(redis::cmd("PUBLISH").arg(&channel).arg(message)).await;
    }
    let batch = |number| {
        SubscriptionEvent::Updates(UpdateBatch {
            publisher: publisher(7),
            number,
            updates: vec![update(1)],
        })
    };
    for expected in [batch(1), batch(2), SubscriptionEvent::Gap { since: None }, batch(4)] {
        assert_eq!(hear(&mut *subscription).await, expected);
    }
}

#[tokio::test]
async fn a_message_that_is_none_is_skipped() {
    let stage = BusStage::new(BusKind::Redis).await;
    let mut subscription = stage.bus.subscribe().await.expect("a healthy bus");
    let (_, channel) = stage.names();
    for garbage in
        [&b""[..], b"\xff\xff", b"galley3 1 1\nsoup\n", b"galley9 1 1\n", b"galley3-beat 1 x -"]
    {
        for message in [garbage.to_vec(), stage.sign(garbage)] {
            stage.raw(redis::cmd("PUBLISH").arg(&channel).arg(message)).await;
        }
    }
    stage.bus.publish(&[update(1)], &[]).await.expect("a healthy bus");
    assert_eq!(hear_updates(&mut *subscription).await, [1]);
}

#[tokio::test]
async fn what_is_done_with_is_trimmed_and_what_nobody_read_is_kept() {
    let stage = BusStage::impatient(BusKind::Redis).await;
    let (stream, _) = stage.names();
    let mut queue = stage.queue(1).await;
    let orders: Vec<_> = (1..=100).map(order).collect();
    stage.bus.publish(&[], &orders).await.expect("a healthy bus");
    let done = take(&mut *queue, 60).await;
    queue.settle(&done, &[]).await.expect("a healthy bus");
    let kept = take(&mut *queue, 1).await;
    let worker = tokio::sync::Mutex::new(queue);
    eventually(async || {
        // Returns what was kept once more, which gives the worker an occasion to tidy up.
        worker.lock().await.next(1).await.expect("a healthy bus");
        let length = stage.raw(redis::cmd("XLEN").arg(&stream)).await;
        matches!(length, Value::Int(length) if (39..=41).contains(&length))
    })
    .await;
    let mut queue = worker.into_inner();
    queue.settle(&kept, &[]).await.expect("a healthy bus");
    let mut rest = std::collections::BTreeSet::new();
    while !(62..=100).all(|id| rest.contains(&id)) {
        let entries = queue.next(100).await.expect("a healthy bus");
        queue.settle(&entries, &[]).await.expect("a healthy bus");
        rest.extend(ids(&entries));
    }
}
