//! Snapshots: the initial states of sockets.

use std::time::Duration;

use galley_protocol::frame::Resume;
use galley_protocol::{Deleted, HeroId, MealId, Order, OrderId, ResumeCursor, Timestamp, Version};
use galley_store::{ChangesRequest, MAX_ACTIVE, MAX_RESUMED, RETENTION, Snapshot, SnapshotRequest};

use crate::test_store::{TestStore, cancel, delete, text};

pub(crate) async fn snapshot(
    test: &TestStore,
    hero_id: HeroId,
    since: Option<ResumeCursor>,
) -> Snapshot {
    let snapshots = test.store.snapshots(&[SnapshotRequest { hero_id, since }]).await;
    snapshots.expect("snapshots").remove(0).expect("the hero is there")
}

/// The cursor with a time `millis` later.
fn moved(cursor: ResumeCursor, millis: i64) -> ResumeCursor {
    ResumeCursor {
        time: Timestamp::from_millis(cursor.time.millis() + millis).expect("a time"),
        ..cursor
    }
}

/// A cursor after all changes, once no transaction of another test holds it back.
pub(crate) async fn caught_up(test: &TestStore) -> ResumeCursor {
    let caught_up = async {
        loop {
            let cursor = test.store.present().await.expect("a cursor");
            let all = test.store.changes_of_all(cursor, None, 1).await.expect("changes");
            if all.orders.is_empty() && all.deleted.is_empty() {
                return cursor;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), caught_up).await.expect("other transactions end")
}

/// Sets all times of the orders to an hour ago, as if the clock had been an hour behind.
pub(crate) async fn an_hour_passes(test: &TestStore) {
    let past = test.database.seconds_ago(3_600);
    let columns = ["order_time", "started_time", "completed_time", "deleted_time"];
    let columns =
        columns.map(|column| format!("{column} = case when {column} is not null then {past} end"));
    test.database
        .sql(&format!("update orders set {}", columns.join(", ")))
        .await
        .expect("past times are set");
}

on_both!(a_fresh_socket_gets_the_active_orders);
async fn a_fresh_socket_gets_the_active_orders(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let other = test.hero("Max", &[]).await.id;
    let started = test.started(worker, hero_id, meal_id).await;
    test.completed(worker, hero_id, meal_id).await;
    test.place(other, meal_id).await;
    let pending = test.place(hero_id, meal_id).await;
    let fresh = snapshot(&test, hero_id, None).await;
    assert_eq!(
        (fresh.hero.id, fresh.orders, fresh.deleted),
        (hero_id, vec![started, pending.clone()], vec![])
    );
    assert!(
        fresh.cursor.time >= pending.order_time
            && fresh.cursor.low_watermark <= test.store.low_watermark()
    );
}

on_both!(a_resumed_socket_gets_what_changed_since);
async fn a_resumed_socket_gets_what_changed_since(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let cursor = snapshot(&test, hero_id, None).await.cursor;
    let completed = test.completed(worker, hero_id, meal_id).await;
    let pending = test.place(hero_id, meal_id).await;
    let resumed = snapshot(&test, hero_id, Some(cursor)).await;
    assert_eq!(resumed.orders, [completed.clone(), pending.clone()]);
    assert_eq!(resumed.resume, Resume::Resumed);
    let resumed = snapshot(&test, hero_id, Some(caught_up(&test).await)).await;
    assert_eq!(
        resumed.orders.iter().map(|order| order.id).collect::<Vec<_>>(),
        [pending.id],
        "orders that ended before the cursor are omitted"
    );
}

on_both!(a_resumed_socket_hears_of_deletions);
async fn a_resumed_socket_hears_of_deletions(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let other = test.hero("Max", &[]).await.id;
    let completed = test.completed(worker, hero_id, meal_id).await;
    let cursor = snapshot(&test, hero_id, None).await.cursor;
    test.delete(delete(completed.id)).await;
    let beyond = OrderId::new(completed.id.get() + 1).expect("an id");
    let resumed =
        snapshot(&test, hero_id, Some(ResumeCursor { low_watermark: beyond, ..cursor })).await;
    assert_eq!(resumed.deleted, [Deleted { order_id: completed.id, version: Version(4) }]);
    assert!(resumed.orders.is_empty());
    assert!(snapshot(&test, hero_id, None).await.deleted.is_empty());
    assert!(snapshot(&test, other, Some(cursor)).await.deleted.is_empty());
    assert!(snapshot(&test, hero_id, Some(caught_up(&test).await)).await.deleted.is_empty());
}

on_both!(a_cursor_from_before_the_first_event_resumes);
async fn a_cursor_from_before_the_first_event_resumes(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let cursor = snapshot(&test, hero_id, None).await.cursor;
    test.place_and_cancel(hero_id, meal_id).await;
    let resumed = snapshot(&test, hero_id, Some(cursor)).await;
    assert_eq!(resumed.resume, Resume::Resumed);
    assert_eq!(
        resumed.orders.iter().map(|order: &Order| order.version).collect::<Vec<_>>(),
        [Version(2)]
    );
}

on_both!(each_request_has_its_own_snapshot);
async fn each_request_has_its_own_snapshot(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let other = test.hero("Max", &[]).await.id;
    let gone = test.hero("Gone", &[]).await.id;
    test.store.heroes().remove(gone, None).await.expect("no order is active");
    let cursor = snapshot(&test, hero_id, None).await.cursor;
    test.place_and_cancel(hero_id, meal_id).await;
    let active = test.place(other, meal_id).await;
    let nobody = HeroId::new(999).expect("an id");
    let (since, too_old) = (Some(cursor), Some(ResumeCursor::EXPIRED));
    let request = |hero_id, since| SnapshotRequest { hero_id, since };
    let requests = [
        request(nobody, since),
        request(hero_id, None),
        request(gone, None),
        request(hero_id, since),
        request(other, None),
        request(hero_id, too_old),
    ];
    let snapshots = test.store.snapshots(&requests).await.expect("snapshots");
    let counts: Vec<Option<usize>> = snapshots
        .iter()
        .map(|snapshot| snapshot.as_ref().map(|found| found.orders.len()))
        .collect();
    assert_eq!(counts, [None, Some(0), None, Some(1), Some(1), Some(0)]);
    let resumes: Vec<Resume> = snapshots.iter().flatten().map(|snapshot| snapshot.resume).collect();
    assert_eq!(resumes, [Resume::Fresh, Resume::Resumed, Resume::Fresh, Resume::Resynced]);
    assert_eq!(snapshots[4].as_ref().map(|found| found.orders.clone()), Some(vec![active]));
}

on_both!(the_floor_of_the_cursor_reaches_what_ended_since);
async fn the_floor_of_the_cursor_reaches_what_ended_since(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let order = test.place(hero_id, meal_id).await;
    let cursor = snapshot(&test, hero_id, None).await.cursor;
    test.cancel(cancel(order.id)).await;
    crate::safe_low_watermark::settle(&test).await;
    assert!(test.store.low_watermark() > order.id);
    let resumed = snapshot(&test, hero_id, Some(cursor)).await;
    assert_eq!(
        resumed.orders.len(),
        1,
        "the order ended after the cursor, below the present low watermark"
    );
    let beyond = ResumeCursor { low_watermark: OrderId::new(999).expect("an id"), ..cursor };
    test.place(hero_id, meal_id).await;
    assert_eq!(
        snapshot(&test, hero_id, Some(beyond)).await.orders.len(),
        1,
        "a low watermark ahead of ours hides no order"
    );
}

on_both!(a_cursor_too_old_or_ahead_of_the_database_leads_to_the_active_orders);
async fn a_cursor_too_old_or_ahead_of_the_database_leads_to_the_active_orders(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let cursor = snapshot(&test, hero_id, None).await.cursor;
    let active = test.started(worker, hero_id, meal_id).await;
    test.completed(worker, hero_id, meal_id).await;
    let gone = test.completed(worker, hero_id, meal_id).await;
    test.delete(delete(gone.id)).await;
    let kept = i64::try_from(RETENTION.as_millis()).expect("a time");
    let ahead = ResumeCursor { position: cursor.position + 1_000_000, ..cursor };
    for cursor in [moved(cursor, -kept - 1), ahead, ResumeCursor::EXPIRED] {
        let resynced = snapshot(&test, hero_id, Some(cursor)).await;
        assert_eq!(
            (resynced.resume, resynced.orders, resynced.deleted),
            (Resume::Resynced, vec![active.clone()], vec![])
        );
    }
    for clock in [60_000 - kept, 3_600_000] {
        let resumed = snapshot(&test, hero_id, Some(moved(cursor, clock))).await;
        assert_eq!(
            (resumed.resume, resumed.orders.len(), resumed.deleted.len()),
            (Resume::Resumed, 2, 1)
        );
    }
}

async fn cancel_many(
    test: &TestStore,
    hero_id: HeroId,
    meal_id: MealId,
    count: usize,
) -> Vec<OrderId> {
    let ids = test.place_ids(hero_id, meal_id, count).await;
    test.cancel_all(&ids).await;
    ids
}

on_both!(what_is_too_much_is_left_for_pages);
async fn what_is_too_much_is_left_for_pages(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let cursor = snapshot(&test, hero_id, None).await.cursor;
    let active = test.place_many(hero_id, meal_id, 500).await;
    for _ in 0..MAX_RESUMED / 500 {
        let ids = cancel_many(&test, hero_id, meal_id, 500).await;
        test.store
            .delete(&ids[..100].iter().copied().map(delete).collect::<Vec<_>>())
            .await
            .expect("verdicts");
    }
    let resumed = snapshot(&test, hero_id, Some(cursor)).await;
    assert_eq!(resumed.resume, Resume::Resumed);
    assert_eq!(
        resumed.orders.len() - active.len() + resumed.deleted.len(),
        MAX_RESUMED,
        "active orders do not count towards the bound"
    );
    assert!(
        resumed.orders.is_sorted_by_key(|order| order.id)
            && resumed.deleted.is_sorted_by_key(|deleted| deleted.order_id)
    );
    cancel_many(&test, hero_id, meal_id, 1).await;
    assert_eq!(resumed.remainder, None);
    let resumed = snapshot(&test, hero_id, Some(cursor)).await;
    assert_eq!((resumed.resume, resumed.remainder), (Resume::Resumed, Some(cursor)));
    assert_eq!((resumed.orders, resumed.deleted), (active, vec![]));
}

on_both!(long_messages_are_left_for_pages);
async fn long_messages_are_left_for_pages(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let cursor = snapshot(&test, hero_id, None).await.cursor;
    let ids = test.place_ids(hero_id, meal_id, 200).await;
    let long = |order_id: &OrderId| {
        let mut request = cancel(*order_id);
        request.command.reason = Some(text(&"é".repeat(2_000)));
        request
    };
    let long: Vec<_> = ids.iter().map(long).collect();
    test.store.cancel(&long).await.expect("verdicts");
    let resumed = snapshot(&test, hero_id, Some(cursor)).await;
    assert_eq!((resumed.resume, resumed.orders.len()), (Resume::Resumed, 0));
    assert_eq!(resumed.remainder, Some(cursor));
    let later = caught_up(&test).await;
    let few = test.place_ids(hero_id, meal_id, 3).await;
    test.cancel_all(&few).await;
    let resumed = snapshot(&test, hero_id, Some(later)).await;
    assert_eq!((resumed.orders.len(), resumed.remainder), (3, None));
}

on_both!(active_orders_beyond_the_bound_are_left_for_pages);
async fn active_orders_beyond_the_bound_are_left_for_pages(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let mut placed = Vec::new();
    for _ in 0..=MAX_ACTIVE / 500 {
        placed.extend(test.place_ids(hero_id, meal_id, 500).await);
    }
    let first = snapshot(&test, hero_id, None).await;
    assert_eq!((first.resume, first.orders.len()), (Resume::Fresh, MAX_ACTIVE));
    let since = first.remainder.expect("there is more");
    let mut read = Vec::new();
    let mut after = None;
    loop {
        let request = ChangesRequest { hero_id, since, after };
        let page = test.store.changes(&[request]).await.expect("a page").remove(0);
        read.extend(page.orders.iter().map(|order| order.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(read, placed, "the pages hold everything that is active");
    let again = snapshot(&test, hero_id, Some(since)).await;
    assert_eq!((again.resume, again.orders.len()), (Resume::Resumed, MAX_ACTIVE));
    assert!(again.remainder.is_some_and(|again| again.position <= since.position.max(1)));
    test.cancel_all(&placed[..1_000]).await;
    let fits = snapshot(&test, hero_id, None).await;
    assert_eq!((fits.orders.len(), fits.remainder), (placed.len() - 1_000, None));
}

on_both!(an_old_low_watermark_is_searched_only_so_far);
async fn an_old_low_watermark_is_searched_only_so_far(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let past = test.database.seconds_ago(3_600);
    let history = format!(
        "insert into orders (hero_id, meal_id, status, version, order_time, started_time, completed_time)
         with recursive numbers(number) as (select 1 union all select number + 1 from numbers where number <= {})
         select {hero_id}, {meal_id}, 2, 3, {past}, {past}, {past} from numbers",
        5 * MAX_RESUMED
    );
    test.database.sql(&history).await.expect("a history");
    crate::safe_low_watermark::settle(&test).await;
    let cursor = caught_up(&test).await;
    cancel_many(&test, hero_id, meal_id, 1).await;
    let resumed = snapshot(&test, hero_id, Some(cursor)).await;
    assert_eq!((resumed.resume, resumed.orders.len()), (Resume::Resumed, 1));
    let old = ResumeCursor { low_watermark: OrderId::new(1).expect("an id"), ..cursor };
    let resumed = snapshot(&test, hero_id, Some(old)).await;
    assert_eq!((resumed.resume, resumed.orders.len()), (Resume::Resumed, 0));
    assert_eq!(resumed.remainder, Some(old), "the change is on the pages");
}
