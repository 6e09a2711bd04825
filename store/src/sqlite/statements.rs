//! Sending statements to the file: all writes through one connection, reads through a few others
//! (write-ahead log).
//!
//! A write returns once it is on the disk (`synchronous=FULL`) and the file has been found at its
//! path. A writer waits at most [`PATIENCE`] for its turn and for locks of other programs together.

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::error::DatabaseError;
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{Connection as _, Row as _, Sqlite as Database, SqlitePool, Transaction};
use tokio::time::{Instant, timeout, timeout_at};

use super::Sqlite;
use crate::row_values::get;
use crate::{Result, STATEMENT_TIMEOUT, StoreError, Trouble};

/// The number of connections that read single rows, and what sockets need that open or catch up.
pub(super) const READERS: u32 = 4;
/// The number of connections that search lists, beside these.
const LIST_READERS: u32 = 2;
/// The longest time for one list. It looks at a bounded number of rows, so it needs a small part of
/// that.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest wait of a request for a connection and for locks of other programs.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest wait for such a lock in one try; other requests get their turn between tries.
const TRY: Duration = Duration::from_millis(100);

pub(super) type SqliteQuery<'q> = Query<'q, Database, SqliteArguments>;

pub(super) fn options(url: &str) -> Result<SqliteConnectOptions, String> {
    let path = url.strip_prefix("sqlite://").unwrap_or_default();
    if path.is_empty() || path.starts_with('?') || path.starts_with(":memory:") {
        return Err("sqlite:// wants the path of a file".to_owned());
    }
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|_| "sqlite:// wants the path of a file".to_owned())?;
    Ok(options.busy_timeout(PATIENCE).foreign_keys(false))
}

pub(super) async fn writer(options: &SqliteConnectOptions) -> Result<SqlitePool> {
    let options = options.clone().create_if_missing(false).busy_timeout(TRY);
    let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    pool(options, 1).await
}

/// The pools of lookups and of lists.
pub(super) async fn readers(options: &SqliteConnectOptions) -> Result<(SqlitePool, SqlitePool)> {
    let options = options.clone().create_if_missing(false).pragma("query_only", "on");
    Ok((pool(options.clone(), READERS).await?, pool(options, LIST_READERS).await?))
}

async fn pool(options: SqliteConnectOptions, connections: u32) -> Result<SqlitePool> {
    let pool = SqlitePoolOptions::new()
        // All are opened at the start: on a busy machine a request would wait long for a new one.
        .min_connections(connections)
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_release(|connection, _| {
            Box::pin(async move {
                // Waits for the rollback of a transaction that was dropped before its commit. That
                // rollback fails if SQLite has already rolled back by itself, as it does on a full
                // disk. The connection would then count as within a transaction for ever.
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        });
    pool.connect_with(options).await.map_err(|error| refusal(&error))
}

/// Milliseconds since 1970. The process and its database share one clock.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Encodes rows for `json_each`, which makes a whole set one parameter.
pub(super) fn json(rows: &impl serde::Serialize) -> String {
    serde_json::to_string(rows).expect("numbers, texts and lists of them have a JSON form")
}

/// The number of the present transaction, which its statements write to the orders that they
/// change. [`Batch::commit_changes`] makes it the last one.
macro_rules! next_change {
    () => {
        "(select watermark.change + 1 from watermark)"
    };
}
pub(super) use next_change;

/// Several statements that commit together; rolled back if dropped before.
pub(super) struct Batch<'a> {
    store: &'a Sqlite,
    transaction: Transaction<'static, Database>,
}

impl Batch<'_> {
    pub(super) async fn ask(&mut self, ask: SqliteQuery<'_>) -> Result<Vec<SqliteRow>> {
        let answer = ask.fetch_all(&mut *self.transaction).await;
        answer.map_err(|error| self.store.failure(&error))
    }

    /// Commits changes of orders, and raises the number of [`next_change`].
    pub(super) async fn commit_changes(mut self) -> Result<()> {
        let number = sqlx::query(
            "/* raise_change */ update watermark set change = change + 1 returning change",
        );
        let number = self.ask(number).await?.first().map(|row| get(row, "change")).transpose()?;
        let store = self.store;
        self.commit().await?;
        if let Some(number) = number {
            store.position.reach(number);
        }
        Ok(())
    }

    /// Commits, then checks the files: a commit into a moved or removed file counts as failed.
    pub(super) async fn commit(self) -> Result<()> {
        let Self { store, transaction } = self;
        transaction.commit().await.map_err(|error| store.failure(&error))?;
        store.check_files()?;
        store.outage.note_success();
        Ok(())
    }
}

impl Sqlite {
    pub(super) async fn read(&self, ask: SqliteQuery<'_>) -> Result<Vec<SqliteRow>> {
        self.read_within(STATEMENT_TIMEOUT, ask.fetch_all(&self.readers)).await
    }

    /// Runs the statement of a list. If it finds no more than `limit` rows, `end` reads where the
    /// search ended, in the same snapshot.
    pub(super) async fn search(
        &self,
        list: SqliteQuery<'_>,
        limit: usize,
        end: SqliteQuery<'_>,
    ) -> Result<(Vec<SqliteRow>, Option<i64>)> {
        let searching = async {
            let mut snapshot = self.lists.begin().await?;
            let rows = list.fetch_all(&mut *snapshot).await?;
            let end = if rows.len() > limit {
                None
            } else {
                end.fetch_optional(&mut *snapshot)
                    .await?
                    .map(|row| row.try_get("id"))
                    .transpose()?
            };
            snapshot.commit().await?;
            Ok((rows, end))
        };
        self.read_within(SEARCH_TIMEOUT, searching).await
    }

    async fn read_within<T>(
        &self,
        time: Duration,
        reading: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T> {
        let read = timeout(time, reading).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        let read = read.map_err(|error| self.failure(&error))?;
        self.outage.note_success();
        Ok(read)
    }

    pub(super) async fn write(&self, ask: SqliteQuery<'_>) -> Result<Vec<SqliteRow>> {
        let mut batch = self.begin().await?;
        let rows = batch.ask(ask).await?;
        batch.commit().await?;
        Ok(rows)
    }

    /// Commits a statement that returns the orders it changed; without any, the number stays.
    pub(super) async fn change(&self, ask: SqliteQuery<'_>) -> Result<Vec<SqliteRow>> {
        let mut batch = self.begin().await?;
        let rows = batch.ask(ask).await?;
        if rows.is_empty() {
            batch.commit().await?;
        } else {
            batch.commit_changes().await?;
        }
        Ok(rows)
    }

    /// Begins a batch as soon as no one else writes, in this process or in another program.
    pub(super) async fn begin(&self) -> Result<Batch<'_>> {
        self.begin_within(PATIENCE).await
    }

    async fn begin_within(&self, patience: Duration) -> Result<Batch<'_>> {
        let deadline = Instant::now() + patience;
        let mut error = StoreError::Trouble(Trouble::Busy, "others are writing".to_owned());
        loop {
            match timeout_at(deadline, self.writer.begin_with("BEGIN IMMEDIATE")).await {
                Ok(Ok(transaction)) => return Ok(Batch { store: self, transaction }),
                Ok(Err(refused)) => error = refusal(&refused),
                Err(_) => {}
            }
            let is_locked = matches!(error, StoreError::Trouble(Trouble::Locked, _));
            if !is_locked || Instant::now() >= deadline {
                self.outage.note(&error);
                return Err(error);
            }
        }
    }

    /// Tests whether changes are possible again, if they were not.
    pub(super) async fn check_changes(&self) -> Result<()> {
        self.check_files()?;
        match self.outage.stops_changes() {
            None => Ok(()),
            Some((trouble, true)) => Err(StoreError::Trouble(trouble, "a moment ago".to_owned())),
            Some((_, false)) => {
                let mut batch = self.begin_within(TRY).await?;
                batch
                    .ask(sqlx::query("/* check_changes */ update watermark set one = one"))
                    .await?;
                batch.commit().await?;
                self.outage.note_change();
                Ok(())
            }
        }
    }

    fn check_files(&self) -> Result<()> {
        self.opened.check().inspect_err(|error| self.outage.note(error))
    }

    fn failure(&self, error: &sqlx::Error) -> StoreError {
        let is_unopened = error
            .as_database_error()
            .and_then(DatabaseError::code)
            .is_some_and(|code| code == "14");
        let error = match self.opened.check() {
            Err(gone) if is_unopened => gone,
            _ => refusal(error),
        };
        self.outage.note(&error);
        error
    }

    /// Moves the log into the file; false if a reader of an earlier state prevented it.
    pub(super) async fn move_log(&self) -> Result<bool> {
        let move_log = sqlx::query_as::<_, (i64, i64, i64)>(
            "/* checkpoint */ pragma wal_checkpoint(truncate)",
        );
        let (busy, ..) =
            move_log.fetch_one(&self.writer).await.map_err(|error| self.failure(&error))?;
        Ok(busy == 0)
    }
}

/// The error for the caller. Result codes: 5 busy, 6 locked, 7 no memory, 8 read-only, 10 input or
/// output, 11 corrupt, 13 disk full, 14 cannot open, 26 not a database; 1032 the file was moved.
pub(super) fn refusal(error: &sqlx::Error) -> StoreError {
    let why = error.to_string();
    let code = error
        .as_database_error()
        .and_then(DatabaseError::code)
        .and_then(|code| code.parse::<i32>().ok());
    let Some(code) = code else {
        if matches!(error, sqlx::Error::PoolTimedOut) {
            return StoreError::Trouble(Trouble::Busy, why);
        }
        let is_away = matches!(
            error,
            sqlx::Error::Io(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed
        );
        return if is_away { StoreError::Unavailable(why) } else { StoreError::Failed(why) };
    };
    let trouble = match (code & 0xff, code) {
        (_, 1032) => Trouble::Gone,
        (5 | 6, _) => Trouble::Locked,
        (7, _) => Trouble::OutOfMemory,
        (8, _) => Trouble::ReadOnly,
        (10, _) => Trouble::Failing,
        (11 | 26, _) => Trouble::Damaged,
        (13, _) => Trouble::Full,
        (14, _) => return StoreError::Unavailable(why),
        _ => return StoreError::Failed(why),
    };
    StoreError::Trouble(trouble, why)
}

#[cfg(test)]
mod tests {
    use super::{options, writer};
    use crate::sqlite::file::create_or_check;

    #[tokio::test]
    async fn a_transaction_that_sqlite_rolled_back_by_itself_does_not_end_all_writing() {
        let folder = tempfile::tempdir().expect("a folder");
        let options =
            options(&format!("sqlite://{}/galley.db", folder.path().display())).expect("a URL");
        create_or_check(&options).await.expect("a file is made");
        let pool = writer(&options).await.expect("a file");
        for _ in 0..2 {
            let mut transaction =
                pool.begin_with("BEGIN IMMEDIATE").await.expect("nobody else writes");
            // SQLite does this by itself when the disk is full.
            sqlx::query("rollback").execute(&mut *transaction).await.expect("a transaction to end");
            transaction.commit().await.expect_err("there is none");
        }
    }
}
