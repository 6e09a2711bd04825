//! A fresh database per test, deleted after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use galley_store::{Store, StoreConnectError, connect};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;

use crate::test_store::TestStore;

/// An empty database.
#[derive(Clone)]
pub(crate) struct FreshDatabase {
    pub(crate) url: String,
    /// The folder of an `SQLite` file, deleted with the last clone.
    _folder: Option<Arc<TempDir>>,
}

impl FreshDatabase {
    /// Opens the database as another process would.
    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        connect(&self.url).await.expect("the database is there")
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite:")
    }

    /// Runs a statement on a separate connection. The error is the database's message.
    pub(crate) async fn sql(&self, statement: &str) -> Result<u64, String> {
        let said = |error: sqlx::Error| error.to_string();
        let statement = AssertSqlSafe(statement.to_owned());
        if self.is_sqlite() {
            let mut connection = SqliteConnection::connect(&self.url).await.map_err(said)?;
            let done = sqlx::query(statement).execute(&mut connection).await.map_err(said)?;
            Ok(done.rows_affected())
        } else {
            let mut connection = PgConnection::connect(&self.url).await.map_err(said)?;
            let done = sqlx::query(statement).execute(&mut connection).await.map_err(said)?;
            Ok(done.rows_affected())
        }
    }

    /// An SQL expression for the time `seconds` ago.
    pub(crate) fn seconds_ago(&self, seconds: u64) -> String {
        if self.is_sqlite() {
            format!("(unixepoch() - {seconds}) * 1000")
        } else {
            format!("now() - interval '{seconds} seconds'")
        }
    }
}

/// Opens the file again, once the dropped store has released its lock.
pub(crate) async fn reopen(database: &FreshDatabase) -> Arc<dyn Store> {
    loop {
        match connect(&database.url).await {
            Ok(store) => return store,
            Err(StoreConnectError::Busy(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

pub(crate) async fn sqlite<Running: Future<Output = ()>>(test: impl FnOnce(TestStore) -> Running) {
    let folder = TempDir::new().expect("a folder");
    let url = format!("sqlite://{}/a/folder/galley.db", folder.path().display());
    test(TestStore::in_house(FreshDatabase { url, _folder: Some(Arc::new(folder)) }).await).await;
}

pub(crate) async fn postgres<Running>(test: impl FnOnce(TestStore) -> Running)
where
    Running: Future<Output = ()> + Send + 'static,
{
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let admin = std::env::var("GALLEY_TEST_POSTGRES")
        .expect("GALLEY_TEST_POSTGRES must name a PostgreSQL in which databases may be created, for example postgres://postgres@127.0.0.1/postgres");
    let name =
        format!("galley_store_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    administer(&admin, format!("create database {name}")).await;
    let (server, _) = admin.rsplit_once('/').expect("the URL of a database ends with its name");
    let store =
        TestStore::in_house(FreshDatabase { url: format!("{server}/{name}"), _folder: None }).await;
    let outcome = tokio::spawn(test(store)).await;
    administer(&admin, format!("drop database {name} with (force)")).await;
    if let Err(error) = outcome {
        std::panic::resume_unwind(error.into_panic());
    }
}

async fn administer(admin: &str, statement: String) {
    let mut connection = PgConnection::connect(admin).await.expect("GALLEY_TEST_POSTGRES answers");
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut connection)
        .await
        .expect("a database may be created and dropped");
    connection.close().await.expect("the connection can be closed");
}
