//! What a socket is told when it begins.

use galley_protocol::{Deleted, HeroId, Order, OrderId, ResumeCursor, Timestamp, Version};
use galley_store::{RESUME_MARGIN, Snapshot, SnapshotRequest};

use crate::kitchen::{Kitchen, cancel, delete};

crate::on_both! {
    a_fresh_socket_gets_the_active_orders,
    a_resumed_socket_gets_what_changed_since,
    a_resumed_socket_hears_of_deletions,
    a_cursor_from_before_the_first_event_resumes,
    each_request_has_its_own_snapshot,
    the_floor_of_the_cursor_reaches_what_ended_since,
}

async fn snapshot(kitchen: &Kitchen, hero_id: HeroId, since: Option<ResumeCursor>) -> Snapshot {
    let snapshots = kitchen.store.snapshots(&[SnapshotRequest { hero_id, since }]).await;
    snapshots.expect("snapshots").remove(0).expect("the hero is there")
}

/// A cursor from so long after this one that the margin does not matter.
fn later(cursor: ResumeCursor) -> ResumeCursor {
    let margin = i64::try_from(RESUME_MARGIN.as_millis()).expect("a margin");
    let time = Timestamp::from_millis(cursor.time.millis() + margin + 60_000).expect("a time");
    ResumeCursor { time, ..cursor }
}

async fn a_fresh_socket_gets_the_active_orders(kitchen: Kitchen) {
    let (hero_id, meal_id) = kitchen.guest().await;
    let other = kitchen.hero("Max", &[]).await.id;
    let worker = kitchen.worker().await;
    let started = kitchen.started(worker, hero_id, meal_id).await;
    kitchen.completed(worker, hero_id, meal_id).await;
    kitchen.place(other, meal_id).await;
    let pending = kitchen.place(hero_id, meal_id).await;
    let fresh = snapshot(&kitchen, hero_id, None).await;
    assert_eq!((fresh.hero.id, fresh.orders, fresh.deleted), (hero_id, vec![started, pending.clone()], vec![]));
    assert!(fresh.cursor.time >= pending.order_time && fresh.cursor.floor == kitchen.store.floor());
}

async fn a_resumed_socket_gets_what_changed_since(kitchen: Kitchen) {
    let (hero_id, meal_id) = kitchen.guest().await;
    let worker = kitchen.worker().await;
    let cursor = snapshot(&kitchen, hero_id, None).await.cursor;
    let completed = kitchen.completed(worker, hero_id, meal_id).await;
    let pending = kitchen.place(hero_id, meal_id).await;
    let resumed = snapshot(&kitchen, hero_id, Some(cursor)).await;
    assert_eq!(resumed.orders, [completed.clone(), pending.clone()]);
    let resumed = snapshot(&kitchen, hero_id, Some(later(cursor))).await;
    assert_eq!(resumed.orders, [pending], "what ended before the margin is known");
    let past = kitchen.database.seconds_ago(3600);
    let age = format!(
        "update orders set order_time = {past}, started_time = {past}, completed_time = {past} where id = {}",
        completed.id
    );
    kitchen.database.sql(&age).await.expect("a past");
    assert_eq!(snapshot(&kitchen, hero_id, Some(cursor)).await.orders.len(), 1);
}

async fn a_resumed_socket_hears_of_deletions(kitchen: Kitchen) {
    let (hero_id, meal_id) = kitchen.guest().await;
    let other = kitchen.hero("Max", &[]).await.id;
    let worker = kitchen.worker().await;
    let completed = kitchen.completed(worker, hero_id, meal_id).await;
    let cursor = snapshot(&kitchen, hero_id, None).await.cursor;
    kitchen.delete(delete(completed.id)).await;
    let beyond = OrderId::new(completed.id.get() + 1).expect("an id");
    let resumed = snapshot(&kitchen, hero_id, Some(ResumeCursor { floor: beyond, ..cursor })).await;
    assert_eq!(resumed.deleted, [Deleted { order_id: completed.id, version: Version(4) }]);
    assert!(resumed.orders.is_empty());
    assert!(snapshot(&kitchen, hero_id, None).await.deleted.is_empty());
    assert!(snapshot(&kitchen, hero_id, Some(later(cursor))).await.deleted.is_empty());
    assert!(snapshot(&kitchen, other, Some(cursor)).await.deleted.is_empty());
}

async fn a_cursor_from_before_the_first_event_resumes(kitchen: Kitchen) {
    let (hero_id, meal_id) = kitchen.guest().await;
    let order = kitchen.place(hero_id, meal_id).await;
    kitchen.cancel(cancel(order.id)).await;
    let cursor = "r0.1".parse().expect("a cursor");
    let resumed = snapshot(&kitchen, hero_id, Some(cursor)).await;
    assert_eq!(resumed.orders.iter().map(|order: &Order| order.version).collect::<Vec<_>>(), [Version(2)]);
}

async fn each_request_has_its_own_snapshot(kitchen: Kitchen) {
    let (hero_id, meal_id) = kitchen.guest().await;
    let other = kitchen.hero("Max", &[]).await.id;
    let gone = kitchen.hero("Gone", &[]).await.id;
    kitchen.store.remove_hero(gone, None).await.expect("no order is active");
    let order = kitchen.place(hero_id, meal_id).await;
    kitchen.cancel(cancel(order.id)).await;
    let active = kitchen.place(other, meal_id).await;
    let nobody = HeroId::new(999).expect("an id");
    let since = Some("r0.1".parse().expect("a cursor"));
    let request = |hero_id, since| SnapshotRequest { hero_id, since };
    let requests =
        [request(nobody, since), request(hero_id, None), request(gone, None), request(hero_id, since), request(other, None)];
    let snapshots = kitchen.store.snapshots(&requests).await.expect("snapshots");
    let counts: Vec<Option<usize>> = snapshots.iter().map(|snapshot| snapshot.as_ref().map(|found| found.orders.len())).collect();
    assert_eq!(counts, [None, Some(0), None, Some(1), Some(1)]);
    assert_eq!(snapshots[4].as_ref().map(|found| found.orders.clone()), Some(vec![active]));
}

async fn the_floor_of_the_cursor_reaches_what_ended_since(kitchen: Kitchen) {
    let (hero_id, meal_id) = kitchen.guest().await;
    let order = kitchen.place(hero_id, meal_id).await;
    let cursor = snapshot(&kitchen, hero_id, None).await.cursor;
    kitchen.cancel(cancel(order.id)).await;
    crate::floor::settle(&kitchen).await;
    assert!(kitchen.store.floor() > order.id);
    let resumed = snapshot(&kitchen, hero_id, Some(cursor)).await;
    assert_eq!(resumed.orders.len(), 1, "it ended after the cursor, below the floor of today");
    let beyond = ResumeCursor { floor: OrderId::new(999).expect("an id"), ..cursor };
    kitchen.place(hero_id, meal_id).await;
    assert_eq!(snapshot(&kitchen, hero_id, Some(beyond)).await.orders.len(), 1, "a floor ahead of ours hides nothing");
}
