//! `galley migrate` beside writers and beside itself.

use galley_tests::command_output::run;
use galley_tests::test_database::TestDatabase;
use galley_tests::{patience::within, until};
use sqlx::{Connection as _, PgConnection, Row as _};

#[tokio::test]
async fn an_index_is_made_beside_writers_and_by_two_at_once() {
    let database = TestDatabase::fresh().await;
    let connect = async || PgConnection::connect(&database.url).await.expect("a connection");
    let (mut admin, mut writer) = (connect().await, connect().await);
    let undo = "drop index orders_deleted_lately; delete from _sqlx_migrations where version = 7";
    sqlx::raw_sql(undo).execute(&mut admin).await.expect("a superuser may");
    let insert = "insert into orders (hero_id, meal_id, order_time) values (1, 1, now())";
    sqlx::raw_sql("begin").execute(&mut writer).await.expect("a transaction");
    sqlx::raw_sql(insert).execute(&mut writer).await.expect("an order");
    let variables = [("DATABASE_URL", database.url.as_str()), ("GALLEY_LOG", "off")];
    let migrate = async || run("galley", &["migrate"], &variables).await;
    let beside = async {
        let making = "select from pg_stat_activity where datname = current_database()
            and query like '%index concurrently%' and wait_event_type = 'Lock'";
        until("the index waits for the writer", async || {
            sqlx::query(making).fetch_optional(&mut admin).await.expect("an answer")
        })
        .await;
        within("another writer", sqlx::raw_sql(insert).execute(&mut admin))
            .await
            .expect("an order");
        sqlx::raw_sql("commit").execute(&mut writer).await.expect("a commit");
    };
    let (one, other, ()) = tokio::join!(migrate(), migrate(), beside);
    assert_eq!((one.code, other.code), (0, 0), "{one:?} {other:?}");
    let valid =
        "select indisvalid from pg_index where indexrelid = 'orders_deleted_lately'::regclass";
    let row = sqlx::query(valid).fetch_one(&mut connect().await).await.expect("an index");
    assert!(row.get::<bool, _>(0));
}

#[tokio::test]
async fn an_index_whose_making_was_interrupted_is_made_again() {
    let database = TestDatabase::fresh().await;
    let mut admin = PgConnection::connect(&database.url).await.expect("a connection");
    let undo = "update pg_index set indisvalid = false
            where indexrelid = 'orders_deleted_lately'::regclass;
        delete from _sqlx_migrations where version = 7";
    sqlx::raw_sql(undo).execute(&mut admin).await.expect("a superuser may");
    let variables = [("DATABASE_URL", database.url.as_str()), ("GALLEY_LOG", "off")];
    assert_eq!(run("galley", &["migrate"], &variables).await.code, 0);
    let valid =
        "select indisvalid from pg_index where indexrelid = 'orders_deleted_lately'::regclass";
    let row = sqlx::query(valid).fetch_one(&mut admin).await.expect("an index");
    assert!(row.get::<bool, _>(0));
}
