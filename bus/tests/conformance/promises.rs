//! What every bus promises.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::poll_immediate;
use galley_bus::SubscriptionEvent;
use galley_protocol::{IncarnationId, TraceContext, TraceId};
use tokio::task::coop::{consume_budget, has_budget_remaining};

use crate::bus_stage::{
    BusKind, BusStage, hear, hear_batch, hear_gap, hear_updates, ids, order, take, update,
    update_of,
};

macro_rules! on_every_bus {
    ($($test:ident)*) => {
        mod local {
            $(#[tokio::test] async fn $test() { super::$test(super::BusKind::Local).await; })*
        }
        mod redis {
            $(#[tokio::test] async fn $test() { super::$test(super::BusKind::Redis).await; })*
        }
        mod cluster {
            $(#[tokio::test] async fn $test() { super::$test(super::BusKind::Cluster).await; })*
        }
    };
}

on_every_bus! {
    an_entry_goes_to_one_worker_and_never_comes_back_once_settled
    entries_of_a_dead_worker_come_back
    a_dropped_wait_loses_no_entry
    every_subscriber_hears_everything_in_order
    nothing_published_after_subscribing_is_missed
    settling_publishes
    a_trace_goes_with_the_entry_and_with_the_update
    what_begins_to_be_told_first_is_heard_first
    a_subscriber_that_overflows_hears_a_gap_and_then_goes_on
    a_healthy_bus_answers
    a_change_of_the_menu_reaches_every_subscriber
}

async fn an_entry_goes_to_one_worker_and_never_comes_back_once_settled(kind: BusKind) {
    let stage = BusStage::new(kind).await;
    let (mut one, mut two) = (stage.queue(1).await, stage.queue(2).await);
    let orders: Vec<_> = (1..=100).map(order).collect();
    stage.bus.publish(&[], &orders).await.expect("a healthy bus");
    let mut taken = Vec::new();
    while taken.len() < 100 {
        for queue in [&mut one, &mut two] {
            let entries = queue.next(30).await.expect("a healthy bus");
            assert!(entries.len() <= 30);
            queue.settle(&entries, &[]).await.expect("a healthy bus");
            taken.extend(entries);
        }
    }
    assert_eq!(ids(&taken), (1..=100).collect::<Vec<_>>());
    for queue in [&mut one, &mut two] {
        assert_eq!(queue.next(30).await.expect("a healthy bus"), []);
    }
}

async fn entries_of_a_dead_worker_come_back(kind: BusKind) {
    let stage = BusStage::impatient(kind).await;
    let mut dying = stage.queue(1).await;
    stage.bus.publish(&[], &[order(1), order(2), order(3)]).await.expect("a healthy bus");
    let mut taken = take(&mut *dying, 3).await;
    taken.retain(|entry| entry.order_id == order(2));
    dying.settle(&taken, &[]).await.expect("a healthy bus");
    drop(dying);
    let mut living = stage.queue(2).await;
    assert_eq!(ids(&take(&mut *living, 2).await), [1, 3]);
}

async fn a_dropped_wait_loses_no_entry(kind: BusKind) {
    let stage = BusStage::new(kind).await;
    let mut queue = stage.queue(1).await;
    let mut taken = Vec::new();
    for id in 1..=50 {
        stage.bus.publish(&[], &[order(id)]).await.expect("a healthy bus");
        if let Ok(entries) = tokio::time::timeout(Duration::from_micros(50), queue.next(10)).await {
            taken.extend(entries.expect("a healthy bus"));
        }
    }
    let rest = 50 - taken.len();
    taken.extend(take(&mut *queue, rest).await);
    assert_eq!(ids(&taken), (1..=50).collect::<Vec<_>>());
}

async fn every_subscriber_hears_everything_in_order(kind: BusKind) {
    let stage = BusStage::new(kind).await;
    let other = stage.another_bus().await;
    let mut subscriptions = Vec::new();
    for bus in [&stage.bus, &stage.bus, &other] {
        subscriptions.push(bus.subscribe().await.expect("a healthy bus"));
    }
    for id in 1..=50 {
        stage.bus.publish(&[update(2 * id), update(2 * id + 1)], &[]).await.expect("a healthy bus");
    }
    for subscription in &mut subscriptions {
        for id in 1..=50 {
            let SubscriptionEvent::Updates(batch) = hear(&mut **subscription).await else {
                panic!("a gap before {id}")
            };
            assert_eq!(batch.updates, [update(2 * id), update(2 * id + 1)]);
        }
    }
}

async fn nothing_published_after_subscribing_is_missed(kind: BusKind) {
    let stage = BusStage::new(kind).await;
    for id in 1..=20 {
        let mut subscription = stage.bus.subscribe().await.expect("a healthy bus");
        // One hero per shard of a cluster.
        let hero = id % 16 + 1;
        stage.bus.publish(&[update_of(hero, id, 0)], &[]).await.expect("a healthy bus");
        assert_eq!(hear_updates(&mut *subscription).await, [id]);
    }
}

async fn settling_publishes(kind: BusKind) {
    let stage = BusStage::new(kind).await;
    let mut subscription = stage.bus.subscribe().await.expect("a healthy bus");
    let mut queue = stage.queue(1).await;
    stage.bus.publish(&[update(1)], &[order(1)]).await.expect("a healthy bus");
    assert_eq!(hear_updates(&mut *subscription).await, [1]);
    let entries = take(&mut *queue, 1).await;
    queue.settle(&entries, &[update(2)]).await.expect("a healthy bus");
    assert_eq!(hear_updates(&mut *subscription).await, [2]);
}

async fn a_trace_goes_with_the_entry_and_with_the_update(kind: BusKind) {
    let stage = BusStage::new(kind).await;
    let mut subscription = stage.bus.subscribe().await.expect("a healthy bus");
    let mut queue = stage.queue(1).await;
    let trace = TraceContext { trace_id: TraceId(1), span_id: 2, sampled: true };
    let updates = [update(1).traced(Some(trace)), update(2)];
    for is_carried in [true, false] {
        if !is_carried {
            stage.meet_the_version_before();
        }
        stage.bus.publish(&updates, &[order(1), order(2)]).await.expect("a healthy bus");
        let entries = take(&mut *queue, 2).await;
        let traces = entries.iter().map(|entry| (entry.order_id, entry.trace.as_deref().copied()));
        // A bus within the process meets no other version.
        let carried = (is_carried || kind == BusKind::Local).then_some(trace);
        let expected = [(order(1), carried), (order(2), None)];
        assert_eq!(traces.collect::<BTreeMap<_, _>>(), expected.into());
        let heard = hear_batch(&mut *subscription).await;
        let traces: Vec<_> = heard.iter().map(|update| update.trace.as_deref().copied()).collect();
        assert_eq!(traces, [Some(trace), None], "the version before passes over it");
        queue.settle(&entries, &[]).await.expect("a healthy bus");
    }
}

/// Even when its task has used up its budget.
async fn what_begins_to_be_told_first_is_heard_first(kind: BusKind) {
    let stage = BusStage::new(kind).await;
    let mut subscription = stage.bus.subscribe().await.expect("a healthy bus");
    let mut queue = stage.queue(1).await;
    stage.bus.publish(&[], &[order(1)]).await.expect("a healthy bus");
    let entries = take(&mut *queue, 1).await;
    let (first, second) = ([update(1)], [update(2)]);
    let mut settling = queue.settle(&entries, &first);
    while has_budget_remaining() {
        consume_budget().await;
    }
    let settled = poll_immediate(&mut settling).await;
    let (announced, settled) = tokio::join!(biased; stage.bus.publish(&second, &[]), async {
        if let Some(settled) = settled { settled } else { settling.await }
    });
    announced.and(settled).expect("a healthy bus");
    for id in 1..=2 {
        assert_eq!(hear_updates(&mut *subscription).await, [id]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_process_who_takes_an_order_is_heard_behind_its_announcement() {
    who_takes_an_order_is_heard_behind_its_announcement(BusKind::Local).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_redis_who_takes_an_order_is_heard_behind_its_announcement() {
    who_takes_an_order_is_heard_behind_its_announcement(BusKind::Redis).await;
}

/// The updates are large: Redis looks after others before it has read them all.
async fn who_takes_an_order_is_heard_behind_its_announcement(kind: BusKind) {
    let stage = BusStage::new(kind).await;
    let mut subscription = stage.bus.subscribe().await.expect("a healthy bus");
    let other = stage.another_bus().await;
    let mut queue = other.queue(IncarnationId::new(1).expect("an id")).await.expect("a queue");
    let worker = tokio::spawn(async move {
        for id in 1..=20 {
            let entries = take(&mut *queue, 1).await;
            queue.settle(&entries, &[update(100 + id)]).await.expect("a healthy bus");
        }
    });
    for id in 1..=20 {
        stage.bus.publish(&[update_of(1, id, 4 << 20)], &[order(id)]).await.expect("a healthy bus");
        for heard in [id, 100 + id] {
            assert_eq!(hear_updates(&mut *subscription).await, [heard]);
        }
    }
    worker.await.expect("it has taken all");
}

async fn a_subscriber_that_overflows_hears_a_gap_and_then_goes_on(kind: BusKind) {
    let stage = BusStage::new(kind).await;
    let mut slow = stage.bus.subscribe().await.expect("a healthy bus");
    let mut quick = stage.bus.subscribe().await.expect("a healthy bus");
    for id in 1..=40 {
        stage.bus.publish(&[update_of(1, id, 1 << 20)], &[]).await.expect("a healthy bus");
        assert_eq!(hear_updates(&mut *quick).await, [id]);
    }
    hear_gap(&mut *slow).await;
    stage.bus.publish(&[update(99)], &[]).await.expect("a healthy bus");
    while hear_updates(&mut *slow).await != [99] {}
}

async fn a_healthy_bus_answers(kind: BusKind) {
    let stage = BusStage::new(kind).await;
    let _subscription = stage.bus.subscribe().await.expect("a healthy bus");
    stage.bus.ping().await.expect("a healthy bus");
}

#[tokio::test]
async fn one_node_of_a_cluster_leads_to_all_of_them() {
    let stage = BusStage::new(BusKind::Cluster).await;
    let mut subscription = stage.bus.subscribe().await.expect("a healthy bus");
    let other = stage.by_one_node().await;
    // The shards of these heroes are on different nodes.
    for (hero, id) in [(1, 7), (15, 8)] {
        other.publish(&[update_of(hero, id, 0)], &[]).await.expect("a healthy bus");
        assert_eq!(hear_updates(&mut *subscription).await, [id]);
    }
}

async fn a_change_of_the_menu_reaches_every_subscriber(kind: BusKind) {
    let stage = BusStage::new(kind).await;
    let other = stage.another_bus().await;
    let mut subscriptions = Vec::new();
    for bus in [&stage.bus, &other] {
        subscriptions.push(bus.subscribe().await.expect("a healthy bus"));
    }
    stage.bus.announce_menu();
    for subscription in &mut subscriptions {
        while hear(&mut **subscription).await != SubscriptionEvent::MenuChanged {}
    }
}
