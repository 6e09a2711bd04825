//! How statements reach the file: all writes through one connection, reads beside it through a few (write-ahead log).
//!
//! Every write is on the disk (`synchronous=FULL`) before it returns. A writer waits its turn at most [`ACQUIRE_TIMEOUT`].

use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::error::DatabaseError;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous};
use sqlx::{Connection as _, Sqlite as Database, SqlitePool, Transaction};

use super::Sqlite;
use crate::StoreError;

/// The connections that read.
const READERS: u32 = 4;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a statement waits for a lock that another program holds on the file, such as a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A statement with its arguments.
pub(super) type Ask<'q> = Query<'q, Database, SqliteArguments>;

/// Reads the URL.
pub(super) fn options(url: &str) -> Result<SqliteConnectOptions, String> {
    let path = url.strip_prefix("sqlite://").unwrap_or_default();
    if path.is_empty() || path.starts_with('?') || path.starts_with(":memory:") {
        return Err("sqlite:// wants the path of a file".to_owned());
    }
    let options = SqliteConnectOptions::from_str(url).map_err(|_| "sqlite:// wants the path of a file".to_owned())?;
    Ok(options.busy_timeout(BUSY_TIMEOUT).foreign_keys(false))
}

pub(super) async fn writer(options: &SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    let options = options.clone().create_if_missing(true);
    let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    pool(options, 1).await
}

pub(super) async fn readers(options: &SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    pool(options.clone().create_if_missing(false).pragma("query_only", "on"), READERS).await
}

async fn pool(options: SqliteConnectOptions, connections: u32) -> Result<SqlitePool, StoreError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_release(|connection, _| {
            Box::pin(async move {
                // Waits for the rollback of what was dropped before its commit. When SQLite had rolled back by itself, as it does
                // on a full disk, that fails, and the connection would count as within a transaction for ever.
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        });
    pool.connect_with(options).await.map_err(|error| refusal(&error))
}

/// The path of a file beside this one.
pub(super) fn beside(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Milliseconds since 1970: the process and its database have one clock.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Rows for `json_each`: a set in one argument.
pub(super) fn json(rows: &impl serde::Serialize) -> String {
    serde_json::to_string(rows).expect("numbers, texts and lists of them have a JSON form")
}

impl Sqlite {
    pub(super) async fn read(&self, ask: Ask<'_>) -> Result<Vec<SqliteRow>, StoreError> {
        ask.fetch_all(&self.readers).await.map_err(|error| refusal(&error))
    }

    /// Runs one statement, and commits it.
    pub(super) async fn write(&self, ask: Ask<'_>) -> Result<Vec<SqliteRow>, StoreError> {
        ask.fetch_all(&self.writer).await.map_err(|error| refusal(&error))
    }

    /// Begins several statements that commit together. What is dropped before its commit is rolled back.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Database>, StoreError> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(|error| refusal(&error))
    }
}

pub(super) async fn ask(transaction: &mut Transaction<'static, Database>, ask: Ask<'_>) -> Result<Vec<SqliteRow>, StoreError> {
    ask.fetch_all(&mut **transaction).await.map_err(|error| refusal(&error))
}

pub(super) async fn commit(transaction: Transaction<'static, Database>) -> Result<(), StoreError> {
    transaction.commit().await.map_err(|error| refusal(&error))
}

/// The error for the caller. Result codes: 5 busy, 6 locked, 7 no memory, 13 disk full.
pub(super) fn refusal(error: &sqlx::Error) -> StoreError {
    let code = error.as_database_error().and_then(DatabaseError::code).and_then(|code| code.parse::<i32>().ok());
    let away = match code {
        Some(code) => matches!(code & 0xff, 5 | 6 | 7 | 13),
        None => {
            matches!(error, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed)
        }
    };
    if away { StoreError::Unavailable(error.to_string()) } else { StoreError::Failed(error.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::{options, writer};

    #[tokio::test]
    async fn a_transaction_that_sqlite_rolled_back_by_itself_does_not_end_all_writing() {
        let folder = tempfile::tempdir().expect("a folder");
        let options = options(&format!("sqlite://{}/galley.db", folder.path().display())).expect("a URL");
        let pool = writer(&options).await.expect("a file");
        for _ in 0..2 {
            let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.expect("nobody else writes");
            // As SQLite does when the disk is full.
            sqlx::query("rollback").execute(&mut *transaction).await.expect("a transaction to end");
            transaction.commit().await.expect_err("there is none");
        }
    }
}
