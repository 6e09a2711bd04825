//! Tests for several processes on one `PostgreSQL`.

use std::time::Duration;

use galley_protocol::{IncarnationId, ListOrders, OfHero, Order, OrderId, Status};
use galley_store::{ClaimFrom, IdRange, Incarnations, SEARCHED};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::bounded_lists::history;
use crate::fresh_database::FreshDatabase;
use crate::safe_low_watermark::pass;
use crate::store_census::{census, publisher};
use crate::test_store::{LONG, TestStore, delete, until};

/// Cuts the connections that hold advisory locks, and waits until they are gone.
pub(crate) const CUT_LIVENESS: &str = "select pg_terminate_backend(pid, 10000) from pg_locks
    where locktype = 'advisory' and objsubid = 2 and database = (select oid from pg_database where datname = current_database())";

/// Another process, one worker in each process, and an order that the first worker prepares.
async fn preparing_beside_another(test: &TestStore) -> (TestStore, [IncarnationId; 2], Order) {
    let other = test.another_process().await;
    let (hero_id, meal_id) = test.guest().await;
    let workers = [test.worker().await, other.worker().await];
    let order = test.started(workers[0], hero_id, meal_id).await;
    (other, workers, order)
}

on!(postgres: the_orders_of_another_living_process_are_left_alone);
async fn the_orders_of_another_living_process_are_left_alone(test: TestStore) {
    let (other, [_, two], order) = preparing_beside_another(&test).await;
    assert!(other.store.adopt(two, 100).await.expect("an answer").is_empty());
    drop(test);
    assert_eq!(other.adopt_some(two).await[0].order, order);
}

on!(postgres: no_statement_reads_all_orders_although_they_were_few_when_it_was_planned);
async fn no_statement_reads_all_orders_although_they_were_few_when_it_was_planned(test: TestStore) {
    const ROUNDS: usize = 50;
    let (hero_id, meal_id, owner) = test.guest_and_worker().await;
    test.started(owner, hero_id, meal_id).await;
    test.database.sql("analyze orders").await.expect("the table is analyzed");
    for _ in 0..ROUNDS {
        let ids = test.place_ids(hero_id, meal_id, 2).await;
        assert_eq!(test.claim(owner, &ids).await.len(), 2);
        assert_eq!(test.store.complete(owner, &ids).await.expect("completions").len(), 2);
    }
    let database = statistics(test, 2 * ROUNDS).await;
    assert!(!counted(&database, "seq_scan", ROUNDS).await);
}

on!(postgres: upkeep_looks_at_no_order_below_its_marks);
async fn upkeep_looks_at_no_order_below_its_marks(test: TestStore) {
    const ROUNDS: usize = 10;
    const ENDED: usize = 5_000;
    let (hero_id, meal_id) = test.guest().await;
    for statement in [
        format!(
            "insert into orders (id, hero_id, meal_id, status, reason, message, version, order_time, completed_time)
             select nextval('order_ids'), {hero_id}, {meal_id}, 3, 1, 'Changed my mind', 2, now(), now() from generate_series(1, {ENDED})"
        ),
        format!("update watermark set floor = {ENDED} + 1, key_floor = {ENDED} + 1"),
        format!("update tally set below = {ENDED} + 1, cancelled = {ENDED}"),
        "analyze orders".to_owned(),
    ] {
        test.database.sql(&statement).await.expect("the statement succeeds");
    }
    for _ in 0..ROUNDS {
        test.store.maintain().await.expect("maintenance succeeds");
        test.place_and_cancel(hero_id, meal_id).await;
        pass(Duration::from_secs(31)).await;
    }
    assert!(
        test.store.low_watermark().get() > i64::try_from(ENDED + ROUNDS / 2).expect("few"),
        "the low watermark rises"
    );
    let database = statistics(test, 2 * ROUNDS).await;
    assert!(!counted(&database, "idx_tup_fetch", ENDED).await);
}

on!(postgres: a_list_of_a_hero_passes_over_no_orders_of_others);
async fn a_list_of_a_hero_passes_over_no_orders_of_others(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let (other, _) = test.guest().await;
    history(&test, hero_id, meal_id, 3 * SEARCHED, 200_000).await;
    history(&test, other, meal_id, 6 * SEARCHED, 10).await;
    test.database.sql("analyze orders").await.expect("the statistics are taken");
    let command = ListOrders { status: vec![Status::Cancelled], ..ListOrders::default() };
    let filter = OfHero { hero_id: Some(hero_id), command };
    let page = test.store.orders(&filter).await.expect("a page");
    assert!(page.items.is_empty() && page.next_cursor.is_some());
    let database = statistics(test, 1).await;
    assert!(counted(&database, "idx_tup_fetch", SEARCHED).await);
    assert!(!counted(&database, "idx_tup_fetch", 2 * SEARCHED).await);
}

/// Drops the store, so that its connections report their statistics, and waits until these show at
/// least `scans` scans of an index of `orders`.
async fn statistics(test: TestStore, scans: usize) -> FreshDatabase {
    let TestStore { database, store } = test;
    drop(store);
    until("orders are found by their index", || counted(&database, "idx_scan", scans)).await;
    database
}

/// Returns true if this statistic of `orders` is at least `least`.
async fn counted(database: &FreshDatabase, statistic: &str, least: usize) -> bool {
    let said = format!(
        "select from pg_stat_user_tables where relname = 'orders' and {statistic} >= {least}"
    );
    database.sql(&said).await.expect("an answer") == 1
}

on!(postgres: of_one_who_is_gone_the_number_is_left);
async fn of_one_who_is_gone_the_number_is_left(test: TestStore) {
    let other = test.another_process().await;
    let (one, two) = (other.worker().await, test.worker().await);
    drop(test);
    until("the death of the process is seen", || async {
        !other.store.incarnations().await.expect("an answer").living.contains(&two)
    })
    .await;
    let known = Incarnations { living: [one].into(), newest: Some(two) };
    assert_eq!(other.store.incarnations().await.expect("an answer"), known);
}

on!(postgres: who_lost_its_own_lock_judges_nobody);
async fn who_lost_its_own_lock_judges_nobody(test: TestStore) {
    let (other, [one, two], order) = preparing_beside_another(&test).await;
    test.database.sql(CUT_LIVENESS).await.expect("the connections are cut");
    assert!(
        other.store.adopt(two, 100).await.expect("an answer").is_empty(),
        "the judge is not seen alive itself"
    );
    census(&*other.store, publisher(2), false).await;
    assert!(
        other.store.adopt(two, 100).await.expect("an answer").is_empty(),
        "the first process may take its lock again"
    );
    census(&*test.store, publisher(1), false).await;
    pass(Duration::from_secs(4)).await;
    assert!(
        other.store.adopt(two, 100).await.expect("an answer").is_empty(),
        "the first process took its lock again"
    );
    assert_eq!(test.store.complete(one, &[order.id]).await.expect("completions").len(), 1);
}

on!(postgres: who_was_away_too_long_is_judged_dead);
async fn who_was_away_too_long_is_judged_dead(test: TestStore) {
    let (other, [one, two], order) = preparing_beside_another(&test).await;
    test.database.sql(CUT_LIVENESS).await.expect("the connections are cut");
    census(&*other.store, publisher(2), false).await;
    pass(Duration::from_secs(4)).await;
    assert_eq!(other.adopt_some(two).await.len(), 1);
    census(&*test.store, publisher(1), false).await;
    assert_eq!(
        test.store.complete(one, &[order.id]).await.expect("an answer"),
        [],
        "the dead owner can change nothing"
    );
}

on!(postgres: the_floor_lags_behind_what_was_assigned_lately);
async fn the_floor_lags_behind_what_was_assigned_lately(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    test.store.maintain().await.expect("maintenance succeeds");
    let order = test.place_and_cancel(hero_id, meal_id).await;
    pass(Duration::from_secs(29)).await;
    test.store.maintain().await.expect("maintenance succeeds");
    assert_eq!(test.store.low_watermark().get(), 1, "no transaction is old enough");
    pass(Duration::from_secs(2)).await;
    test.store.maintain().await.expect("maintenance succeeds");
    assert_eq!(test.store.low_watermark().get(), 1, "nothing had been assigned half a minute ago");
    pass(Duration::from_secs(28)).await;
    test.store.maintain().await.expect("maintenance succeeds");
    assert!(test.store.low_watermark() > order.id);
    let other = test.database.open().await;
    assert_eq!(other.low_watermark(), test.store.low_watermark(), "all processes share it");
}

on!(postgres: entries_wait_for_rows_that_others_hold_and_the_oldest_skip_them);
async fn entries_wait_for_rows_that_others_hold_and_the_oldest_skip_them(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let order = test.place(hero_id, meal_id).await;
    let mut holder = PgConnection::connect(&test.database.url).await.expect("a connection");
    let mut transaction = holder.begin().await.expect("a transaction");
    sqlx::query("select from orders for update").execute(&mut *transaction).await.expect("a lock");
    let oldest = galley_store::Claim {
        from: ClaimFrom::Oldest { ids: IdRange::default(), age: Duration::ZERO, limit: 9 },
        delay: LONG..=LONG,
    };
    assert!(test.store.claim(worker, oldest).await.expect("an answer").is_empty());
    let entries = [order.id];
    let (claimed, ()) = tokio::join!(test.claim(worker, &entries), async {
        transaction.rollback().await.expect("the lock is released");
    });
    assert_eq!(claimed.len(), 1);
}

/// Runs `inner` while another transaction holds the row of the tally and has run `first`. That
/// transaction commits once `inner` waits for the row.
async fn while_the_tally_is_held(test: &TestStore, first: &str, inner: impl Future<Output = ()>) {
    let mut holder = PgConnection::connect(&test.database.url).await.expect("a connection");
    let mut transaction = holder.begin().await.expect("a transaction");
    for statement in ["select from tally for update", first] {
        sqlx::query(AssertSqlSafe(statement.to_owned()))
            .execute(&mut *transaction)
            .await
            .expect("the statement succeeds");
    }
    let waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let until_it_waits = async {
        until("the statement waits for the row", || async {
            test.database.sql(waiting).await == Ok(1)
        })
        .await;
        transaction.commit().await.expect("the transaction commits");
    };
    let both = async { tokio::join!(inner, until_it_waits) };
    tokio::time::timeout(Duration::from_secs(20), both)
        .await
        .expect("the statement continues when it has the row");
}

/// Asserts two cancelled orders in the tally and in the totals.
async fn two_are_counted(test: &TestStore) {
    let tally = "update tally set one = one where cancelled = 2";
    assert_eq!(test.database.sql(tally).await, Ok(1));
    assert_eq!(test.store.totals().await.expect("totals").cancelled, 2);
}

/// Three CANCELLED orders below the low watermark.
async fn ended_below_the_floor(test: &TestStore) -> Vec<OrderId> {
    let (hero_id, meal_id) = test.guest().await;
    let ids = test.place_ids(hero_id, meal_id, 3).await;
    test.cancel_all(&ids).await;
    test.database
        .sql(&format!("update watermark set floor = {} + 1", ids[2]))
        .await
        .expect("the low watermark is set");
    ids
}

on!(postgres: a_deletion_that_commits_before_the_count_is_not_counted);
async fn a_deletion_that_commits_before_the_count_is_not_counted(test: TestStore) {
    let ids = ended_below_the_floor(&test).await;
    let deletion = format!(
        "update orders set deleted_time = completed_time, version = version + 1 where id = {}",
        ids[1]
    );
    let settling = async { test.store.maintain().await.expect("maintenance succeeds") };
    while_the_tally_is_held(&test, &deletion, settling).await;
    two_are_counted(&test).await;
}

on!(postgres: a_deletion_that_waits_for_the_count_is_subtracted);
async fn a_deletion_that_waits_for_the_count_is_subtracted(test: TestStore) {
    let ids = ended_below_the_floor(&test).await;
    let counted = format!("update tally set below = {} + 1, cancelled = 3", ids[2]);
    let deleting = async { drop(test.delete(delete(ids[1])).await) };
    while_the_tally_is_held(&test, &counted, deleting).await;
    two_are_counted(&test).await;
}

on!(postgres: the_floor_waits_for_an_order_whose_commit_takes_long_whatever_the_clocks_say);
async fn the_floor_waits_for_an_order_whose_commit_takes_long_whatever_the_clocks_say(
    test: TestStore,
) {
    let (hero_id, meal_id) = test.guest().await;
    let mut late = PgConnection::connect(&test.database.url).await.expect("a connection");
    let mut transaction = late.begin().await.expect("a transaction");
    // Uses a connection with another application name, and a clock that has been set back since.
    let insert = format!(
        "insert into orders (hero_id, meal_id, order_time) values ({hero_id}, {meal_id}, now() + interval '1 hour')"
    );
    sqlx::query(AssertSqlSafe(insert)).execute(&mut *transaction).await.expect("an order");
    test.place_and_cancel(hero_id, meal_id).await;
    for _ in 0..3 {
        test.store.maintain().await.expect("maintenance succeeds");
        pass(Duration::from_secs(31)).await;
    }
    assert_eq!(test.store.low_watermark().get(), 1, "an open transaction holds a smaller id");
    transaction.commit().await.expect("the transaction commits");
    for _ in 0..3 {
        test.store.maintain().await.expect("maintenance succeeds");
        pass(Duration::from_secs(31)).await;
    }
    assert_eq!(test.store.low_watermark().get(), 1, "the order is PENDING");
}

on!(postgres: reads_that_hang_leave_placing_alone);
async fn reads_that_hang_leave_placing_alone(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let mut holder = PgConnection::connect(&test.database.url).await.expect("a connection");
    let mut transaction = holder.begin().await.expect("a transaction");
    // Only totals read it.
    sqlx::query("lock table tally in access exclusive mode")
        .execute(&mut *transaction)
        .await
        .expect("a lock");
    let reads = (0..50).map(|_| test.store.totals());
    let placing = async {
        until("reads wait for the lock", || async {
            let waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
            test.database.sql(waiting).await >= Ok(3)
        })
        .await;
        let began = std::time::Instant::now();
        for _ in 0..20 {
            test.place(hero_id, meal_id).await;
        }
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    };
    let (refused, ()) = tokio::join!(futures_util::future::join_all(reads), placing);
    assert!(refused.iter().all(Result::is_err), "who waited for too long is refused");
}

on!(postgres: a_reason_of_a_later_version_does_not_make_its_order_unreadable);
async fn a_reason_of_a_later_version_does_not_make_its_order_unreadable(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let order = test.place_and_cancel(hero_id, meal_id).await;
    for statement in
        ["alter table orders drop constraint life_cycle", "update orders set reason = 99"]
    {
        test.database.sql(statement).await.expect("the statement succeeds");
    }
    let read = test.store.order(order.id).await.expect("an answer").expect("the order");
    assert!(read.view.order.reason.is_none() && read.view.order.message.is_some(), "{read:?}");
}
