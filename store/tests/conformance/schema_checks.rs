//! The schema, and opening a database.

use galley_store::{StoreConnectError, StoreError, connect};

use crate::fresh_database::reopen;
use crate::test_store::{TestStore, cancel, request};

on_both!(a_schema_is_asked_for_until_it_is_there);
async fn a_schema_is_asked_for_until_it_is_there(test: TestStore) {
    test.store.ping().await.expect("the schema is there");
    test.database
        .sql("update _sqlx_migrations set version = -version")
        .await
        .expect("an old schema");
    let refused = test.store.ping().await;
    assert!(
        matches!(&refused, Err(StoreError::Failed(why)) if why.contains("galley migrate")),
        "{refused:?}"
    );
    test.database.sql("drop table _sqlx_migrations").await.expect("no schema");
    let refused = test.store.ping().await;
    assert!(
        matches!(&refused, Err(StoreError::Failed(why)) if why.contains("galley migrate")),
        "{refused:?}"
    );
}

on_both!(migrating_again_changes_nothing);
async fn migrating_again_changes_nothing(test: TestStore) {
    let (hero_id, _) = test.guest().await;
    let (one, other) = tokio::join!(test.store.migrate(), test.store.migrate());
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    assert!(test.store.heroes().get(hero_id).await.expect("an answer").is_some());
}

on_both!(no_illegal_order_can_be_stored);
async fn no_illegal_order_can_be_stored(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let pending = test.place(hero_id, meal_id).await.id;
    let started = test.started(worker, hero_id, meal_id).await.id;
    let completed = test.completed(worker, hero_id, meal_id).await.id;
    let cancelled = test.place(hero_id, meal_id).await.id;
    test.cancel(cancel(cancelled)).await;
    let now = test.database.seconds_ago(0);
    let past = test.database.seconds_ago(60);
    for (id, change) in [
        (pending, "status = 1"),
        (pending, "status = 2"),
        (pending, "status = 3"),
        (pending, "status = 4"),
        (pending, "version = 2"),
        (pending, "started_time = order_time"),
        (pending, "message = 'why'"),
        (pending, &format!("deleted_time = {now}, version = 2")),
        (
            pending,
            &format!(
                "status = 3, version = 2, reason = 2, message = 'why', completed_time = {now}"
            ),
        ),
        (
            pending,
            &format!(
                "status = 3, version = 2, reason = 5, message = 'why', completed_time = {now}"
            ),
        ),
        (
            pending,
            &format!(
                "status = 3, version = 3, reason = 1, message = 'why', completed_time = {now}"
            ),
        ),
        (pending, &format!("status = 3, version = 2, reason = 1, completed_time = {now}")),
        (pending, &format!("status = 3, version = 2, message = 'why', completed_time = {now}")),
        (pending, "key = 'a'"),
        (started, "status = 0"),
        (started, "version = 3"),
        (started, "due_at = null"),
        (started, &format!("completed_time = {now}")),
        (started, "status = 2, owner = null, due_at = null, version = 3"),
        (started, &format!("status = 2, version = 3, completed_time = {now}")),
        (started, &format!("status = 2, owner = null, due_at = null, completed_time = {now}")),
        (started, &format!("started_time = {past}")),
        (completed, "status = 1"),
        (completed, "version = 2"),
        (completed, "reason = 1"),
        (completed, "message = 'why'"),
        (completed, "deleted_time = completed_time"),
        (completed, &format!("completed_time = {past}")),
        (cancelled, "reason = null"),
        (cancelled, "reason = 6"),
        (cancelled, "message = null"),
        (cancelled, "message = ''"),
        (cancelled, "version = 3"),
        (cancelled, "version = 3, owner = 1"),
    ] {
        let refused =
            test.database.sql(&format!("update orders set {change} where id = {id}")).await;
        assert!(
            refused.as_ref().is_err_and(|why| why.to_lowercase().contains("check")),
            "{change}: {refused:?}"
        );
    }
    let legal =
        test.database.sql(&format!("update orders set owner = null where id = {started}")).await;
    assert_eq!(legal, Ok(1));
}

on_both!(a_restart_keeps_everything);
async fn a_restart_keeps_everything(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let keyed = [request(hero_id, meal_id, Some("a"))];
    let placed = test.store.place(&keyed).await.expect("verdicts");
    let started = test.started(worker, hero_id, meal_id).await;
    let completed = test.completed(worker, hero_id, meal_id).await;
    let TestStore { database, store } = test;
    drop(store);
    let test = TestStore { store: reopen(&database).await, database };
    test.store.ping().await.expect("the schema is there");
    assert_eq!(test.order(started.id).await, Some(started));
    assert_eq!(test.order(completed.id).await, Some(completed.clone()));
    let again = test.store.place(&keyed).await.expect("verdicts");
    assert_eq!(format!("{again:?}").replace("Replayed", "Placed"), format!("{placed:?}"));
    assert!(test.place(hero_id, meal_id).await.id > completed.id);
}

on!(sqlite: a_file_is_served_by_one_process);
async fn a_file_is_served_by_one_process(test: TestStore) {
    let refused = connect(&test.database.url).await.err();
    assert!(matches!(refused, Some(StoreConnectError::Busy(_))), "{refused:?}");
    test.guest().await;
    let TestStore { database, store } = test;
    drop(store);
    reopen(&database).await.ping().await.expect("the lock is released");
}

#[tokio::test]
async fn a_url_that_cannot_be_read_is_refused_without_its_password() {
    for url in [
        "",
        "galley.db",
        "mysql://root:secret@localhost/galley",
        "sqlite::memory:",
        "sqlite://",
        "sqlite://:memory:",
        "sqlite://?mode=ro",
        "postgres://galley:secret@localhost:99999/galley",
        "postgres://galley:secret@[::/galley",
    ] {
        let refused = connect(url).await.err();
        assert!(matches!(refused, Some(StoreConnectError::BadUrl(_))), "{url}: {refused:?}");
        assert!(!format!("{refused:?}").contains("secret"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    drop(taken);
    let refused = connect(&format!("postgres://galley:secret@127.0.0.1:{port}/galley")).await.err();
    assert!(matches!(refused, Some(StoreConnectError::Unreachable(_))), "{refused:?}");
    assert!(!format!("{refused:?}").contains("secret"), "{refused:?}");
}
