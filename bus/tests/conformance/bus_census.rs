//! How far a subscription has been told everything, and the publishers that it does not hear.

use std::collections::BTreeSet;

use galley_bus::{SharedBus, Subscription, SubscriptionEvent};
use galley_protocol::{PublisherId, ResumeCursor};

use crate::bus_stage::{
    BusKind, BusStage, cursor, hear, hear_gap, hear_updates, publisher, update,
};
use crate::redis_process::LONG;

#[tokio::test]
async fn in_process_the_safe_cursor_follows_the_marks_and_an_operation_holds_it_back() {
    the_safe_cursor_follows_the_marks_and_an_operation_holds_it_back(BusKind::Local).await;
}

#[tokio::test]
async fn on_redis_the_safe_cursor_follows_the_marks_and_an_operation_holds_it_back() {
    the_safe_cursor_follows_the_marks_and_an_operation_holds_it_back(BusKind::Redis).await;
}

#[tokio::test]
async fn on_a_cluster_the_safe_cursor_follows_the_marks_and_an_operation_holds_it_back() {
    the_safe_cursor_follows_the_marks_and_an_operation_holds_it_back(BusKind::Cluster).await;
}

/// Takes a census of these and of the bus itself, and hears until a moment, answering every gap
/// with a repair.
async fn second(
    subscription: &mut dyn Subscription,
    bus: &SharedBus,
    others: &[PublisherId],
    number: i64,
) -> Vec<SubscriptionEvent> {
    let safe = cursor(number);
    bus.mark(safe);
    let living: BTreeSet<PublisherId> = others.iter().copied().chain([bus.publisher()]).collect();
    subscription.census(&living, safe, safe.position);
    let end = tokio::time::Instant::now() + std::time::Duration::from_secs(1);
    let mut heard = Vec::new();
    while let Ok(event) = tokio::time::timeout_at(end, subscription.next()).await {
        if let SubscriptionEvent::Gap { .. } = event {
            repair(subscription, safe);
        }
        heard.push(event);
    }
    heard
}

fn repair(subscription: &mut dyn Subscription, safe: ResumeCursor) {
    subscription.repairing();
    subscription.repaired(safe);
}

/// A subscription that has carried out its first repair.
async fn subscribe(bus: &SharedBus, others: &[PublisherId]) -> Box<dyn Subscription> {
    let mut subscription = bus.subscribe().await.expect("a healthy bus");
    assert!(bus.is_receiving());
    let living = others.iter().copied().chain([bus.publisher()]).collect();
    subscription.census(&living, cursor(1), 1);
    repair(&mut *subscription, cursor(1));
    assert_eq!(hear(&mut *subscription).await, SubscriptionEvent::Safe(cursor(1)));
    subscription
}

/// Hears until the safe cursor is this one.
async fn hear_safe(subscription: &mut dyn Subscription, number: i64) {
    while hear(subscription).await != SubscriptionEvent::Safe(cursor(number)) {}
}

async fn the_safe_cursor_follows_the_marks_and_an_operation_holds_it_back(kind: BusKind) {
    let stage = BusStage::new(kind).await;
    let mut subscription = subscribe(&stage.bus, &[]).await;
    let own = [stage.bus.publisher()].into();
    let pending = stage.bus.begin();
    stage.bus.mark(cursor(2));
    subscription.census(&own, cursor(2), 2);
    stage.bus.publish(&[update(1)], &[]).await.expect("a healthy bus");
    drop(pending);
    stage.bus.mark(cursor(3));
    subscription.census(&own, cursor(3), 3);
    let mut is_told = false;
    loop {
        match hear(&mut *subscription).await {
            SubscriptionEvent::Updates(_) => is_told = true,
            SubscriptionEvent::Safe(safe) if safe == cursor(3) => break,
            SubscriptionEvent::Safe(safe) => {
                assert!(is_told || safe < cursor(2), "{safe} passes what was not told");
            }
            SubscriptionEvent::Gap { since } => panic!("a gap since {since:?}"),
            SubscriptionEvent::MenuChanged => panic!("no menu was changed"),
        }
    }
    assert!(is_told);
}

#[tokio::test]
async fn one_that_lives_and_is_not_heard_is_a_gap_again_and_again() {
    // In process nobody else is ever heard.
    let stage = BusStage::new(BusKind::Local).await;
    let mut subscription = subscribe(&stage.bus, &[publisher(7)]).await;
    let mut gaps = 0;
    for number in 2..10 {
        for heard in second(&mut *subscription, &stage.bus, &[publisher(7)], number).await {
            match heard {
                SubscriptionEvent::Gap { since } => {
                    gaps += 1;
                    assert!(since < Some(cursor(number)));
                }
                SubscriptionEvent::Safe(safe) => assert!(safe <= cursor(number)),
                SubscriptionEvent::Updates(batch) => panic!("{batch:?}"),
                SubscriptionEvent::MenuChanged => panic!("no menu was changed"),
            }
        }
    }
    assert!((2..=3).contains(&gaps), "{gaps} gaps in 8 s, of which 4 s of silence are none");
    let unheard: Vec<_> = subscription.unheard().iter().map(|unheard| unheard.publisher).collect();
    assert_eq!(unheard, [publisher(7)]);
}

#[tokio::test]
async fn one_that_says_goodbye_is_no_gap() {
    let stage = BusStage::new(BusKind::Redis).await;
    let leaving = stage.another_bus().await;
    let mut subscription = subscribe(&stage.bus, &[leaving.publisher()]).await;
    leaving.publish(&[update(1)], &[]).await.expect("a healthy bus");
    assert_eq!(hear_updates(&mut *subscription).await, [1]);
    leaving.leave().await;
    drop(leaving);
    let mut told = Vec::new();
    for number in 2..8 {
        for heard in second(&mut *subscription, &stage.bus, &[], number).await {
            let SubscriptionEvent::Safe(safe) = heard else { panic!("{heard:?}") };
            told.push(safe);
        }
    }
    assert!(told.last() >= Some(&cursor(6)), "{told:?}");
}

#[tokio::test]
async fn a_process_that_is_gone_may_have_committed_what_it_did_not_publish() {
    let (_server, stage) = BusStage::on_own_redis().await;
    let dying = stage.another_bus().await;
    let mut subscription = subscribe(&stage.bus, &[dying.publisher()]).await;
    drop(dying);
    let gone = async {
        let mut number = 1;
        loop {
            number += 1;
            let heard = second(&mut *subscription, &stage.bus, &[], number).await;
            if heard.iter().any(|heard| matches!(heard, SubscriptionEvent::Gap { .. })) {
                return;
            }
        }
    };
    tokio::time::timeout(LONG, gone).await.expect("it is missed");
}

#[tokio::test]
async fn an_operation_of_unknown_outcome_is_a_gap_before_its_cursor_is_passed() {
    let stage = BusStage::new(BusKind::Local).await;
    let mut subscription = subscribe(&stage.bus, &[]).await;
    stage.bus.mark(cursor(1));
    stage.bus.begin().doubt();
    stage.bus.mark(cursor(2));
    subscription.census(&[stage.bus.publisher()].into(), cursor(2), 2);
    hear_gap(&mut *subscription).await;
    repair(&mut *subscription, cursor(2));
    hear_safe(&mut *subscription, 2).await;
}
