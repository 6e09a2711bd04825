//! The census: living publishers and subscribers, as the processes on one database see each other.

use std::collections::BTreeSet;

use galley_protocol::PublisherId;
use galley_store::{Census, Store, StoreError};

use crate::postgres_only::CUT_LIVENESS;
use crate::test_store::{TestStore, until};

pub(crate) fn publisher(number: i32) -> PublisherId {
    PublisherId::new(number).expect("a number of a publisher")
}

/// Takes a census, once the server has released the locks of a lost connection.
pub(crate) async fn census(store: &dyn Store, own: PublisherId, hears: bool) -> Census {
    loop {
        match store.census(own, hears).await {
            Ok(census) => return census,
            Err(StoreError::Unavailable(_) | StoreError::Trouble(..)) => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

on_both!(a_process_finds_itself_alive_and_hearing_as_it_says);
async fn a_process_finds_itself_alive_and_hearing_as_it_says(test: TestStore) {
    let own = publisher(i32::MAX);
    for hears in [false, true, false] {
        let census = census(&*test.store, own, hears).await;
        assert_eq!(census.living, [own].into());
        assert_eq!(census.hearing, hears.then_some(own).into_iter().collect());
    }
}

/// Two processes on one database. The second one receives updates.
async fn two(test: TestStore) -> (TestStore, TestStore) {
    let other = test.another_process().await;
    census(&*test.store, publisher(1), false).await;
    census(&*other.store, publisher(2), true).await;
    (test, other)
}

on!(postgres: processes_see_each_other_live_and_hear);
async fn processes_see_each_other_live_and_hear(test: TestStore) {
    let (test, other) = two(test).await;
    let seen = census(&*test.store, publisher(1), true).await;
    assert_eq!(seen.living, [publisher(1), publisher(2)].into());
    assert_eq!(seen.hearing, seen.living);
    census(&*other.store, publisher(2), false).await;
    assert_eq!(census(&*test.store, publisher(1), true).await.hearing, [publisher(1)].into());
}

on!(postgres: a_process_that_was_closed_is_not_seen_any_more);
async fn a_process_that_was_closed_is_not_seen_any_more(test: TestStore) {
    let (test, other) = two(test).await;
    other.store.close().await;
    until("the closed process is not seen any more", || async {
        let seen = census(&*test.store, publisher(1), false).await;
        (seen.living, seen.hearing) == ([publisher(1)].into(), BTreeSet::new())
    })
    .await;
}

on!(postgres: a_process_whose_connection_was_cut_takes_all_its_locks_again);
async fn a_process_whose_connection_was_cut_takes_all_its_locks_again(test: TestStore) {
    let (test, other) = two(test).await;
    let worker = other.worker().await;
    test.database.sql(CUT_LIVENESS).await.expect("the connections are cut");
    let seen = census(&*test.store, publisher(1), false).await;
    assert_eq!(seen.living, [publisher(1)].into(), "no other process has taken its locks again");
    assert_eq!(test.store.incarnations().await.expect("an answer").living, BTreeSet::new());
    census(&*other.store, publisher(2), true).await;
    let seen = census(&*test.store, publisher(1), false).await;
    assert_eq!((seen.living.len(), seen.hearing), (2, [publisher(2)].into()));
    assert_eq!(test.store.incarnations().await.expect("an answer").living, [worker].into());
}

on!(postgres: one_connection_holds_all_locks_of_a_process);
async fn one_connection_holds_all_locks_of_a_process(test: TestStore) {
    test.worker().await;
    test.worker().await;
    census(&*test.store, publisher(1), true).await;
    let holders = "select from pg_locks where locktype = 'advisory' and objsubid = 2
        and database = (select oid from pg_database where datname = current_database())";
    assert_eq!(test.database.sql(holders).await, Ok(5));
    assert_eq!(
        test.database.sql(&holders.replacen("select", "select distinct pid", 1)).await,
        Ok(1)
    );
}

on!(postgres: a_process_follows_a_floor_that_went_back_with_its_database);
async fn a_process_follows_a_floor_that_went_back_with_its_database(test: TestStore) {
    for floor in [1_000, 500] {
        test.database
            .sql(&format!("update watermark set floor = {floor}"))
            .await
            .expect("a failover");
        let safe = census(&*test.store, publisher(1), false).await.safe;
        assert_eq!(test.store.low_watermark().get(), floor);
        assert!(safe.low_watermark <= test.store.low_watermark());
    }
}
