//! Cursors as positions in the order of commits, independent of clocks, and the keys that sign
//! them.

use std::path::Path;
use std::sync::Arc;

use galley_protocol::frame::Resume;
use galley_protocol::{CursorKey, HeroId, OrderId, PublisherId, ResumeCursor};
use galley_store::{
    ChangesRequest, MAX_RESUMED, RETENTION, SnapshotRequest, Store, backup, connect,
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::fresh_database::reopen;
use crate::order_snapshots::{an_hour_passes, caught_up, snapshot};
use crate::safe_low_watermark::pass;
use crate::test_store::{TestStore, delete, until};

on_both!(what_is_stamped_in_the_past_is_told);
async fn what_is_stamped_in_the_past_is_told(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let gone = test.completed(worker, hero_id, meal_id).await.id;
    let cursor = caught_up(&test).await;
    let ended = test.completed(worker, hero_id, meal_id).await.id;
    test.delete(delete(gone)).await;
    an_hour_passes(&test).await;
    let resumed = snapshot(&test, hero_id, Some(cursor)).await;
    assert_eq!(
        (resumed.resume, resumed.orders[0].id, resumed.deleted[0].order_id),
        (Resume::Resumed, ended, gone)
    );
    let all = test.store.changes_of_all(cursor, None, 9).await.expect("changes");
    assert_eq!((all.orders.len(), all.deleted.len()), (1, 1));
}

on_both!(what_cannot_be_read_begins_anew);
async fn what_cannot_be_read_begins_anew(test: TestStore) {
    let cursor = test.store.present().await.expect("a cursor");
    let good = test.store.cursor_keys().sign(cursor).to_string();
    assert_eq!(test.store.read_cursor(&good).await, cursor);
    let foreign = CursorKey::new(1, b"of another service").sign(cursor).to_string();
    let forged = [if good.starts_with("AQ") { "AR" } else { "AQ" }, &good[2..]].concat();
    for text in ["", "r1a2b3c.7", "0", "é", &foreign, &forged, &good[1..], &format!("{good} ")] {
        assert_eq!(test.store.read_cursor(text).await, ResumeCursor::EXPIRED, "{text:?}");
    }
}

/// Inserts orders of a hero that were deleted an hour ago.
async fn deleted_before(test: &TestStore, hero_id: HeroId, count: usize) {
    let past = test.database.seconds_ago(3_600);
    let history = format!(
        "insert into orders (hero_id, meal_id, status, version, order_time, started_time, completed_time, deleted_time)
         with recursive numbers(number) as (select 1 union all select number + 1 from numbers where number < {count})
         select {hero_id}, 1, 2, 4, {past}, {past}, {past}, {past} from numbers"
    );
    test.database.sql(&history).await.expect("a history");
}

on_both!(a_deletion_among_thousands_of_older_ones_is_told);
async fn a_deletion_among_thousands_of_older_ones_is_told(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let order = test.place_and_cancel(hero_id, meal_id).await;
    deleted_before(&test, hero_id, 3 * MAX_RESUMED).await;
    let cursor = caught_up(&test).await;
    test.delete(delete(order.id)).await;
    let resumed = snapshot(&test, hero_id, Some(cursor)).await;
    let told: Vec<OrderId> = resumed.deleted.iter().map(|deleted| deleted.order_id).collect();
    assert_eq!((resumed.resume, resumed.remainder, told), (Resume::Resumed, None, vec![order.id]));
}

on_both!(deletions_that_were_forgotten_early_are_not_missed_in_silence);
async fn deletions_that_were_forgotten_early_are_not_missed_in_silence(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let order = test.place_and_cancel(hero_id, meal_id).await;
    let before = caught_up(&test).await;
    test.delete(delete(order.id)).await;
    let after = caught_up(&test).await;
    // As if the clock had been an hour ahead when the cursors were made.
    let past = test.database.seconds_ago(RETENTION.as_secs() + 60);
    let stamps = format!(
        "update orders set order_time = {past}, completed_time = {past}, deleted_time = {past}"
    );
    test.database.sql(&stamps).await.expect("past times are set");
    pass(std::time::Duration::from_secs(31)).await;
    test.store.maintain().await.expect("maintenance succeeds");
    assert_eq!(snapshot(&test, hero_id, Some(before)).await.resume, Resume::Resynced);
    if test.database.is_sqlite() {
        assert_eq!(
            snapshot(&test, hero_id, Some(after)).await.resume,
            Resume::Resumed,
            "the cursor is newer than the forgotten deletion"
        );
    }
    // Until then older transactions of the server, of other databases as well, hold positions back.
    until("a cursor is newer than the forgotten deletion", || async {
        let cursor = caught_up(&test).await;
        snapshot(&test, hero_id, Some(cursor)).await.resume == Resume::Resumed
    })
    .await;
}

on!(postgres: what_becomes_visible_long_after_its_stamp_is_told);
async fn what_becomes_visible_long_after_its_stamp_is_told(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let ended = test.started(worker, hero_id, meal_id).await.id;
    let gone = test.completed(worker, hero_id, meal_id).await.id;
    let mut holder = PgConnection::connect(&test.database.url).await.expect("a connection");
    let mut transaction = holder.begin().await.expect("a transaction");
    let past = test.database.seconds_ago(30);
    for change in [
        format!(
            "update orders set order_time = {past}, started_time = {past}, completed_time = {past}, status = 2, version = 3,
            owner = null, due_at = null where id = {ended}"
        ),
        format!("update orders set deleted_time = completed_time, version = 4 where id = {gone}"),
    ] {
        sqlx::query(AssertSqlSafe(change)).execute(&mut *transaction).await.expect("a change");
    }
    // Other changes commit meanwhile, and the client's cursor advances.
    let meanwhile = test.completed(worker, hero_id, meal_id).await;
    let cursor = snapshot(&test, hero_id, None).await.cursor;
    transaction.commit().await.expect("the transaction commits");
    let resumed = snapshot(&test, hero_id, Some(cursor)).await;
    let told: Vec<OrderId> = resumed.orders.iter().map(|order| order.id).collect();
    assert_eq!(
        (resumed.resume, told, resumed.deleted[0].order_id),
        (Resume::Resumed, vec![ended, meanwhile.id], gone)
    );
    let all = test.store.changes_of_all(cursor, None, 9).await.expect("changes");
    assert!(all.orders.iter().any(|order| order.id == ended) && all.deleted.len() == 1);
}

on!(postgres: more_deletions_than_can_be_searched_begin_anew);
async fn more_deletions_than_can_be_searched_begin_anew(test: TestStore) {
    let (hero_id, _) = test.guest().await;
    deleted_before(&test, hero_id, 50 * MAX_RESUMED).await;
    let cursor = caught_up(&test).await;
    assert_eq!(snapshot(&test, hero_id, Some(cursor)).await.resume, Resume::Resumed);
    deleted_before(&test, hero_id, 1).await;
    assert_eq!(snapshot(&test, hero_id, Some(cursor)).await.resume, Resume::Resynced);
}

/// The present cursor and its signed text.
async fn signed(store: &Arc<dyn Store>) -> (ResumeCursor, String) {
    let cursor = store.present().await.expect("a cursor");
    (cursor, store.cursor_keys().sign(cursor).to_string())
}

on!(postgres: all_processes_read_each_others_cursors_until_the_database_is_another);
async fn all_processes_read_each_others_cursors_until_the_database_is_another(test: TestStore) {
    let other = test.database.open().await;
    let (cursor, before) = signed(&test.store).await;
    assert_eq!(other.read_cursor(&before).await, cursor);
    // Restoring a dump writes the row again, in another transaction.
    for restored in ["writer = '1'", "server = '1'", "database = 1"] {
        test.database
            .sql(&format!("update cursor_key set {restored}, epoch = epoch"))
            .await
            .expect("a restored dump");
        let newest = test.database.open().await;
        assert_eq!(newest.read_cursor(&before).await, ResumeCursor::EXPIRED, "{restored}");
        let (cursor, after) = signed(&newest).await;
        pass(std::time::Duration::from_secs(2)).await;
        assert_eq!(other.read_cursor(&after).await, cursor, "a running process reads the new key");
        assert_eq!(other.read_cursor(&before).await, ResumeCursor::EXPIRED);
        assert_eq!(
            test.database.open().await.read_cursor(&after).await,
            cursor,
            "opening again begins no other epoch"
        );
    }
}

on!(postgres: cursors_outlive_failovers_and_end_where_the_new_timeline_began);
async fn cursors_outlive_failovers_and_end_where_the_new_timeline_began(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let (first, of_first) = signed(&test.store).await;
    let ahead = ResumeCursor { position: first.position + 1_000_000, ..first };
    let ahead = test.store.cursor_keys().sign(ahead).to_string();
    fail_over(&test).await;
    let (second, of_second) = signed(&test.store).await;
    test.place(hero_id, meal_id).await;
    fail_over(&test).await;
    assert_eq!(
        test.store.read_cursor(&of_first).await,
        first,
        "a cursor from before two failovers is valid"
    );
    assert_eq!(test.store.read_cursor(&of_second).await, second);
    let newest = test.database.open().await;
    assert_eq!(
        newest.read_cursor(&of_second).await,
        second,
        "a new process reads the earlier keys"
    );
    assert_eq!(
        newest.read_cursor(&ahead).await,
        ResumeCursor::EXPIRED,
        "the failover lost the changes before this cursor"
    );
}

/// Simulates a failover that this process notices.
async fn fail_over(test: &TestStore) {
    // The row names the transaction that wrote it, but another timeline.
    let other =
        "update cursor_key set timeline = 'FFFFFFFF', writer = pg_current_xact_id()::xid::text";
    test.database.sql(other).await.expect("a failover");
    test.store.maintain().await.expect("maintenance succeeds");
}

on!(postgres: a_process_that_did_not_see_a_failover_signs_no_cursor_with_the_key_of_before);
async fn a_process_that_did_not_see_a_failover_signs_no_cursor_with_the_key_of_before(
    test: TestStore,
) {
    let (hero_id, meal_id) = test.guest().await;
    let other = test.database.open().await;
    let since = other.present().await.expect("a cursor");
    for way in 0..5 {
        fail_over(&test).await;
        test.place(hero_id, meal_id).await;
        let cursor = match way {
            0 => other.present().await.expect("a cursor"),
            1 => {
                other
                    .census(PublisherId::new(1).expect("a number"), true)
                    .await
                    .expect("a census")
                    .safe
            }
            2 => other.changes_of_all(since, None, 10).await.expect("changes").cursor,
            3 => {
                let request = ChangesRequest { hero_id, since, after: None };
                other.changes(&[request]).await.expect("changes").remove(0).cursor
            }
            _ => {
                let request = SnapshotRequest { hero_id, since: None };
                other
                    .snapshots(&[request])
                    .await
                    .expect("a snapshot")
                    .remove(0)
                    .expect("a hero")
                    .cursor
            }
        };
        let signed = other.cursor_keys().sign(cursor).to_string();
        assert_eq!(test.store.read_cursor(&signed).await, cursor, "way {way}");
    }
}

/// Copies a database file that no process writes to.
fn copy(from: &str, to: &Path) {
    std::fs::copy(from.trim_start_matches("sqlite://"), to).expect("a copy");
}

on!(sqlite: a_file_knows_the_cursors_of_its_earlier_starts_and_not_those_of_another_history);
async fn a_file_knows_the_cursors_of_its_earlier_starts_and_not_those_of_another_history(
    TestStore { database, store }: TestStore,
) {
    let test = TestStore { database: database.clone(), store };
    let (hero_id, meal_id) = test.guest().await;
    let (first, of_first_start) = signed(&test.store).await;
    test.store.close().await;
    drop(test);
    let folder = tempfile::TempDir::new().expect("a folder");
    let old = folder.path().join("old.db");
    copy(&database.url, &old);

    let test = TestStore { store: reopen(&database).await, database: database.clone() };
    assert_eq!(test.store.read_cursor(&of_first_start).await, first);
    test.place(hero_id, meal_id).await;
    let (second, of_second_start) = signed(&test.store).await;
    let taken = folder.path().join("backup.db");
    backup(&database.url, &taken, false).await.expect("a backup");
    test.place(hero_id, meal_id).await;
    test.store.close().await;
    drop(test);

    let store = reopen(&database).await;
    assert_eq!(store.read_cursor(&of_first_start).await, first);
    assert_eq!(store.read_cursor(&of_second_start).await, second);
    let open = async |path: &Path| {
        connect(&format!("sqlite://{}", path.display())).await.expect("a database")
    };
    let restored = open(&old).await;
    assert_eq!(
        restored.read_cursor(&of_first_start).await,
        first,
        "the cursor belongs to the history of the copy"
    );
    assert_eq!(restored.read_cursor(&of_second_start).await, ResumeCursor::EXPIRED);
    let restored = open(&taken).await;
    for text in [&of_first_start, &of_second_start] {
        assert_eq!(
            restored.read_cursor(text).await,
            ResumeCursor::EXPIRED,
            "a backup accepts no earlier cursors"
        );
    }
    assert_eq!(restored.present().await.expect("a cursor").position, second.position);
}

on!(sqlite: a_copy_of_a_file_in_use_ends_the_cursors_that_went_on_after_it);
async fn a_copy_of_a_file_in_use_ends_the_cursors_that_went_on_after_it(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    test.place(hero_id, meal_id).await;
    let (known, before) = signed(&test.store).await;
    test.store.checkpoint().await.expect("the log is moved into the file");
    let folder = tempfile::TempDir::new().expect("a folder");
    let old = folder.path().join("old.db");
    copy(&test.database.url, &old);
    test.place(hero_id, meal_id).await;
    let (_, after) = signed(&test.store).await;
    let restored = connect(&format!("sqlite://{}", old.display())).await.expect("a database");
    let test = TestStore { store: Arc::clone(&restored), ..test };
    test.place_many(hero_id, meal_id, 3).await;
    test.place_many(hero_id, meal_id, 3).await;
    assert_eq!(restored.read_cursor(&before).await, known);
    assert_eq!(
        restored.read_cursor(&after).await,
        ResumeCursor::EXPIRED,
        "another history has reached the same position"
    );
}
