//! Sending statements to `PostgreSQL`. Every statement commits on its own, so that no transaction
//! waits for this process.
//!
//! The server ends a statement within [`STATEMENT_TIMEOUT`], except for its commit. If no answer
//! comes for longer, the caller gets an error and only the connection keeps waiting: see
//! [`super::server_processes`]. A connection that meets a read-only server is dropped, so that the
//! next one resolves the server's name again. After a collision with another transaction a
//! statement is repeated up to [`RETRIES`] times; then it fails with [`StoreError::Contended`].
//! Never repeat a statement here that the server may have carried out.

use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use galley_protocol::network::is_host;
use rand::RngExt;
use sqlx::error::DatabaseError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::{Connection, Execute, Executor, PgPool, Postgres as Database, SqlStr};
use tokio::time::{sleep, timeout};

use super::Postgres;
use super::server_processes::ServerProcesses;
use crate::{Result, STATEMENT_TIMEOUT, StoreError, Trouble};

/// The connections of one process. A request that gets none within [`ACQUIRE_TIMEOUT`] is refused.
const MAX_CONNECTIONS: u32 = 8;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest wait for an answer: longer than the server's own time-out.
const ANSWER_TIMEOUT: Duration = STATEMENT_TIMEOUT.saturating_add(Duration::from_secs(1));
/// The idle time after which a connection is tested before use: the server may have restarted.
const IDLE_TRUST: Duration = Duration::from_secs(1);
/// The most repetitions of a statement after collisions.
const RETRIES: u32 = 10;
/// The longest pause before a repetition, in milliseconds.
const RETRY_PAUSE: u64 = 50;

/// The SQLSTATE of a read-only server, such as a standby.
const READ_ONLY: &str = "25006";

pub(super) type PostgresQuery<'q> = Query<'q, Database, PgArguments>;

/// Parses the URL. An error never quotes it, because it may contain a password.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, String> {
    let options = PgConnectOptions::from_str(url).map_err(|error| {
        if let sqlx::Error::Configuration(cause) = error {
            cause.to_string()
        } else {
            "cannot be read".to_owned()
        }
    })?;
    if options.get_socket().is_none()
        && !is_host(options.get_host().trim_start_matches('[').trim_end_matches(']'))
    {
        return Err("its host is neither a name nor an address".to_owned());
    }
    let keepalive = [
        ("tcp_keepalives_idle", "5"),
        ("tcp_keepalives_interval", "1"),
        ("tcp_keepalives_count", "3"),
    ];
    // A plan lives as long as its connection, or until the table is analyzed. A plan made while
    // `orders` is nearly empty would scan the whole table for each batch, and would still do so
    // when the table has grown.
    let plans = [("enable_seqscan", "off"), ("jit", "off")];
    // A role may have a stricter isolation level as its default. At that level guarded statements
    // would fail instead of waiting for each other.
    let session =
        [("idle_session_timeout", "0"), ("default_transaction_isolation", "read committed")];
    Ok(options.application_name("galley").options(session).options(plans).options(keepalive))
}

pub(super) fn pool(options: PgConnectOptions, backends: &Arc<ServerProcesses>) -> PgPool {
    let (met, known) = (Arc::clone(backends), Arc::clone(backends));
    let limits = [
        ("statement_timeout", "5s"),
        ("lock_timeout", "2s"),
        ("idle_in_transaction_session_timeout", "5s"),
    ];
    PgPoolOptions::new()
        .max_connections(MAX_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let backends = Arc::clone(&met);
            Box::pin(async move { backends.meet(connection).await })
        })
        .before_acquire(move |connection, metadata| {
            let is_suspect = known.is_suspect(metadata.age);
            Box::pin(async move {
                if is_suspect {
                    return Ok(false);
                }
                if metadata.idle_for > IDLE_TRUST {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options.options(limits))
}

impl Postgres {
    /// Runs a statement that changes rows. During a stall none begins and callers stop waiting.
    pub(super) async fn change<'q, A>(
        &self,
        ask: impl Fn() -> A + Send + Sync,
    ) -> Result<Vec<PgRow>>
    where
        A: Execute<'q, Database> + 'q,
    {
        if self.outage.is_stalled() {
            return Err(StoreError::Trouble(Trouble::Stalled, "a moment ago".to_owned()));
        }
        tokio::select! {
            biased;
            rows = self.rows(ask) => rows,
            () = self.outage.stall() => Err(StoreError::Unavailable("commits are stalled".to_owned())),
        }
    }

    pub(super) async fn rows<'q, A>(&self, ask: impl Fn() -> A + Send + Sync) -> Result<Vec<PgRow>>
    where
        A: Execute<'q, Database> + 'q,
    {
        let mut tries = 0;
        loop {
            match self.once(ask()).await {
                Err(error) if tries < RETRIES && is_collision(&error) => {
                    tries += 1;
                    let pause = rand::rng().random_range(1..=RETRY_PAUSE);
                    sleep(Duration::from_millis(pause)).await;
                }
                Ok(rows) => {
                    self.outage.note_success();
                    return Ok(rows);
                }
                Err(error) => {
                    let error = refusal(&error);
                    self.outage.note(&error);
                    return Err(error);
                }
            }
        }
    }

    /// Tests whether changes are possible again, if they were not.
    pub(super) async fn check_changes(&self) -> Result<()> {
        match self.outage.stops_changes() {
            None => Ok(()),
            Some((trouble, true)) => Err(StoreError::Trouble(trouble, "a moment ago".to_owned())),
            Some((trouble, false)) => {
                let Ok(turn) = Arc::clone(&self.probe).try_lock_owned() else {
                    return Err(StoreError::Trouble(trouble, "a change is being tried".to_owned()));
                };
                let probe = sqlx::query("/* check_changes */ update watermark set one = one");
                if let Err(error) = self.once_with(turn, probe).await {
                    let error = refusal(&error);
                    self.outage.note(&error);
                    return Err(error);
                }
                self.outage.note_change();
                Ok(())
            }
        }
    }

    async fn once<'q>(
        &self,
        ask: impl Execute<'q, Database> + 'q,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        self.once_with((), ask).await
    }

    /// Runs the statement in a task that also holds `kept`, even if the caller stops waiting.
    async fn once_with<'q>(
        &self,
        kept: impl Send + 'static,
        mut ask: impl Execute<'q, Database> + 'q,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let arguments = ask.take_arguments().map_err(sqlx::Error::Encode)?;
        let ask = (ask.sql(), arguments);
        let connection = self.pool.acquire().await?;
        let backends = Arc::clone(&self.backends);
        // `_ours` is dropped when the caller stops waiting, `theirs` when the statement has ended.
        let (_ours, theirs) = backends.begin();
        let running = tokio::spawn(async move {
            let answer = run(connection, ask, &backends).await;
            drop((kept, theirs));
            answer
        });
        match timeout(ANSWER_TIMEOUT, running).await {
            Ok(answer) => answer.unwrap_or(Err(sqlx::Error::WorkerCrashed)),
            Err(_) => Err(silence()),
        }
    }
}

async fn run(
    mut connection: PoolConnection<Database>,
    ask: (SqlStr, Option<PgArguments>),
    backends: &ServerProcesses,
) -> Result<Vec<PgRow>, sqlx::Error> {
    let late = async {
        sleep(ANSWER_TIMEOUT).await;
        drop(backends.late().await);
    };
    let answer = tokio::select! {
        answer = connection.fetch_all(ask) => Some(answer),
        () = late => None,
    };
    match answer {
        Some(Err(error)) if code(&error).is_some_and(|code| code == READ_ONLY) => {
            backends.suspect();
            drop(connection.detach());
            Err(error)
        }
        Some(answer) => answer,
        // A detached connection is closed and frees its slot in the pool.
        None => {
            drop(connection.detach());
            Err(silence())
        }
    }
}

pub(super) fn silence() -> sqlx::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time").into()
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(DatabaseError::code).map(String::from)
}

/// Returns true for a deadlock or a serialization failure: nothing was changed.
fn is_collision(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| matches!(code.as_str(), "40P01" | "40001"))
}

/// The error for the caller. SQLSTATE: 08 connection, 40 rolled back (40P01 and 40001 are
/// collisions), 53 resources (53100 disk full, 53200 memory, 53300 connections), 55P03 lock not
/// available, 57014 time-out, 57P0x shutdown or start, 25006 read-only, 58030 input or output,
/// XX001 and XX002 corrupt data.
pub(super) fn refusal(error: &sqlx::Error) -> StoreError {
    let why = error.to_string();
    if is_collision(error) {
        return StoreError::Contended(why);
    }
    let Some(code) = code(error) else {
        let is_away = matches!(
            error,
            sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
        );
        return if is_away { StoreError::Unavailable(why) } else { StoreError::Failed(why) };
    };
    let trouble = match code.as_str() {
        READ_ONLY => Trouble::ReadOnly,
        "53100" => Trouble::Full,
        "53200" => Trouble::OutOfMemory,
        "53300" => Trouble::Crowded,
        "55P03" => Trouble::Held,
        "57P01" | "57P02" | "57P03" => Trouble::Starting,
        "58030" => Trouble::Failing,
        "XX001" | "XX002" => Trouble::Damaged,
        other
            if other == "57014"
                || other.starts_with("57P0")
                || matches!(other.get(..2), Some("08" | "40" | "53")) =>
        {
            return StoreError::Unavailable(why);
        }
        _ => return StoreError::Failed(why),
    };
    StoreError::Trouble(trouble, why)
}
