//! A `PostgreSQL` that is read-only for a while, and statements whose callers have stopped waiting.

use galley_protocol::PublisherId;
use galley_store::{PlaceVerdict, StoreError, Trouble};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::test_store::{LONG, TestStore, entries, request, until};

/// Makes new connections read-only or writable. Existing connections keep their mode.
async fn set_read_only(test: &TestStore, value: &str) {
    let (_, name) =
        test.database.url.rsplit_once('/').expect("the URL of a database ends with its name");
    let mut admin = PgConnection::connect(&test.database.url).await.expect("a connection");
    let alter = format!(
        "begin read write; alter database {name} set default_transaction_read_only = {value}; commit"
    );
    sqlx::raw_sql(AssertSqlSafe(alter))
        .execute(&mut admin)
        .await
        .expect("the default can be changed");
}

on!(postgres: connections_that_take_no_changes_are_not_used_again);
async fn connections_that_take_no_changes_are_not_used_again(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    set_read_only(&test, "on").await;
    let other = test.another_process().await;
    let order = [request(hero_id, meal_id, None)];
    let is_read_only = |error| matches!(error, StoreError::Trouble(Trouble::ReadOnly, _));
    assert!(is_read_only(other.store.ping().await.expect_err("the store is not ready")));
    assert!(is_read_only(other.store.place(&order).await.expect_err("the server is read-only")));
    let own = PublisherId::new(1).expect("a number of a publisher");
    assert!(is_read_only(
        other.store.census(own, false).await.expect_err("the census fails on a read-only server")
    ));
    assert!(other.store.meals().get(meal_id).await.expect("reads succeed").is_some());

    set_read_only(&test, "off").await;
    until("an order is placed", || async {
        matches!(other.store.place(&order).await.as_deref(), Ok([PlaceVerdict::Placed(_)]))
    })
    .await;
    until("a census is taken", || async { other.store.census(own, false).await.is_ok() }).await;
    until("the store is ready", || async { other.store.ping().await.is_ok() }).await;
}

on!(postgres: orders_that_a_statement_takes_after_its_caller_has_gone_are_handed_back);
async fn orders_that_a_statement_takes_after_its_caller_has_gone_are_handed_back(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let (worker, heir) = (test.worker().await, test.worker().await);
    let order = test.place(hero_id, meal_id).await;
    let mut holder = PgConnection::connect(&test.database.url).await.expect("a connection");
    let mut transaction = holder.begin().await.expect("a transaction");
    sqlx::query("select from orders for update").execute(&mut *transaction).await.expect("a lock");
    let ids = [order.id];
    let waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    tokio::select! {
        _ = test.store.claim(worker, entries(&ids, LONG..=LONG)) => panic!("the claim ended although the order is locked"),
        () = until("the claim waits", || async { test.database.sql(waiting).await == Ok(1) }) => {}
    }
    let too_early = test.store.hand_back(worker).await;
    assert!(matches!(too_early, Err(StoreError::Unavailable(_))), "{too_early:?}");
    transaction.rollback().await.expect("the lock is released");
    until("the order is handed back", || async {
        test.store.hand_back(worker).await.is_ok_and(|orders| orders == 1)
    })
    .await;
    assert_eq!(test.store.adopt(heir, 9).await.expect("adoptions").len(), 1);
}
