//! Sending statements to `PostgreSQL`. Every statement commits on its own, so that no transaction
//! waits for this process.
//!
//! The server ends a statement within [`STATEMENT_TIMEOUT`], except for its commit. If no answer
//! comes for longer, the caller gets an error and only the connection keeps waiting: see
//! [`super::server_processes`]. A connection that meets a read-only server is dropped, so that the
//! next one resolves the server's name again. After a collision with another transaction a
//! statement is repeated up to [`RETRIES`] times; then it fails with [`StoreError::Contended`].
//! Never repeat a statement here that the server may have carried out.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use sqlx::error::DatabaseError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::{
    AssertSqlSafe, Connection, Execute, Executor, PgConnection, PgPool, Postgres as Database, Row,
    SqlStr,
};
use tokio::time::{sleep, timeout};

use super::Postgres;
use super::server_processes::ServerProcesses;
use super::shares::{Share, Shares};
use crate::{Result, STATEMENT_TIMEOUT, StoreError, Trouble};

/// A request that gets no connection within this time is refused.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// The time after which an unused connection is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest wait for an answer: longer than the server's own time-out.
const ANSWER_TIMEOUT: Duration = STATEMENT_TIMEOUT.saturating_add(Duration::from_secs(1));
/// The idle time after which a connection is tested before use: the server may have restarted.
const IDLE_TRUST: Duration = Duration::from_millis(1_500);
/// Begins the transaction of a list. Its rows must come one by one from the index that excludes
/// most, whatever an earlier plan assumed, and never all of them to be sorted.
const BEGIN_SEARCH: &str = "/* begin_search */ begin read only;
    set local plan_cache_mode = force_custom_plan;
    set local enable_bitmapscan = off;
    set local enable_sort = off;
    set local statement_timeout = '2s'";
/// The most repetitions of a statement after collisions.
const RETRIES: u32 = 10;
/// The longest pause before a repetition, in milliseconds.
const RETRY_PAUSE: u64 = 50;

/// The SQLSTATE of a read-only server, such as a standby.
const READ_ONLY: &str = "25006";

pub(super) type PostgresQuery<'q> = Query<'q, Database, PgArguments>;

/// The settings of every session. They are set once it is open, because a pooler drops or refuses
/// those of a start. Each must hold however the role or the database is configured.
const SESSION: [(&str, &str); 7] = [
    // A plan lives as long as its connection, or until the table is analyzed. A plan made while
    // `orders` is nearly empty would scan the whole table for each batch, and would still do so
    // when the table has grown.
    ("enable_seqscan", "off"),
    ("jit", "off"),
    ("idle_session_timeout", "0"),
    // At a stricter level guarded statements would fail instead of waiting for each other.
    ("default_transaction_isolation", "read committed"),
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "1"),
    ("tcp_keepalives_count", "3"),
];
/// The time-outs of a statement, of waiting for a lock, and of an idle transaction.
const LIMITS: [&str; 3] = ["5s", "2s", "5s"];
pub(super) const NO_LIMITS: [&str; 3] = ["0"; 3];

/// Sets up a session. Returns its server process.
pub(super) async fn prepare(
    connection: &mut PgConnection,
    limits: [&'static str; 3],
) -> Result<i32, sqlx::Error> {
    let names = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"];
    let mut ask = "/* backend */ select pg_backend_pid() as pid".to_owned();
    for (name, value) in SESSION.into_iter().chain(names.into_iter().zip(limits)) {
        write!(ask, ", set_config('{name}', '{value}', false)").expect("writing to memory");
    }
    connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(ask))).await?.try_get("pid")
}

pub(super) fn pool(
    options: PgConnectOptions,
    shares: &Arc<Shares>,
    backends: &Arc<ServerProcesses>,
) -> PgPool {
    let (met, known) = (Arc::clone(backends), Arc::clone(backends));
    let opened = Arc::clone(shares);
    PgPoolOptions::new()
        .max_connections(shares.connections())
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(IDLE_TIMEOUT)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let backends = Arc::clone(&met);
            opened.note_busy();
            Box::pin(async move {
                backends.meet(prepare(connection, LIMITS).await?);
                Ok(())
            })
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
        .connect_lazy_with(options)
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

    /// Runs a statement of the work: one that changes rows, or that such a one waits for.
    pub(super) async fn rows<'q, A>(&self, ask: impl Fn() -> A + Send + Sync) -> Result<Vec<PgRow>>
    where
        A: Execute<'q, Database> + 'q,
    {
        self.repeated(Share::Work, ask).await
    }

    /// Runs a statement that only reads, for someone who asks.
    pub(super) async fn read<'q, A>(&self, ask: impl Fn() -> A + Send + Sync) -> Result<Vec<PgRow>>
    where
        A: Execute<'q, Database> + 'q,
    {
        self.repeated(Share::Lookups, ask).await
    }

    /// Runs the statement of a list.
    pub(super) async fn search<'q, A>(
        &self,
        ask: impl Fn() -> A + Send + Sync,
    ) -> Result<Vec<PgRow>>
    where
        A: Execute<'q, Database> + 'q,
    {
        self.repeated(Share::Lists, ask).await
    }

    async fn repeated<'q, A>(
        &self,
        share: Share,
        ask: impl Fn() -> A + Send + Sync,
    ) -> Result<Vec<PgRow>>
    where
        A: Execute<'q, Database> + 'q,
    {
        let mut tries = 0;
        loop {
            match self.once_with((), share, ask()).await {
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
                if let Err(error) = self.once_with(turn, Share::Work, probe).await {
                    let error = refusal(&error);
                    self.outage.note(&error);
                    return Err(error);
                }
                self.outage.note_change();
                Ok(())
            }
        }
    }

    /// Runs the statement in a task that also holds `kept`, even if the caller stops waiting.
    async fn once_with<'q>(
        &self,
        kept: impl Send + 'static,
        share: Share,
        mut ask: impl Execute<'q, Database> + 'q,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let arguments = ask.take_arguments().map_err(sqlx::Error::Encode)?;
        let ask = (ask.sql(), arguments);
        let acquired = timeout(ACQUIRE_TIMEOUT, async {
            let part = self.shares.take(share).await;
            self.acquire().await.map(|connection| (connection, part))
        });
        let (connection, part) = acquired.await.map_err(|_| sqlx::Error::PoolTimedOut)??;
        let (pool, shares) = (self.pool.clone(), Arc::clone(&self.shares));
        let backends = Arc::clone(&self.backends);
        // `_ours` is dropped when the caller stops waiting, `theirs` when the statement has ended.
        let (_ours, theirs) = backends.begin();
        let running = tokio::spawn(async move {
            let (answer, left) = run(connection, ask, share, &backends).await;
            if let Some(connection) = left
                && shares.has_too_many(pool.num_idle())
            {
                drop(connection.close().await);
            }
            drop((kept, theirs, part));
            answer
        });
        match timeout(ANSWER_TIMEOUT, running).await {
            Ok(answer) => answer.unwrap_or(Err(sqlx::Error::WorkerCrashed)),
            Err(_) => Err(silence()),
        }
    }

    /// A connection of the pool. The pool demands TLS of a server that may have none. If there is
    /// none, the server is asked what it wants to be told before each connection without TLS.
    async fn acquire(&self) -> Result<PoolConnection<Database>, sqlx::Error> {
        match self.pool.acquire().await {
            Err(error @ sqlx::Error::Tls(_)) => {
                let _one_at_a_time = self.without_tls.lock().await;
                let Some(options) = self.search.without_tls().await? else { return Err(error) };
                let _demands_tls_again = DemandsTls(self);
                self.pool.set_connect_options(options);
                self.pool.acquire().await
            }
            acquired => acquired,
        }
    }
}

/// Makes the pool demand TLS again when dropped, even if nobody waits for the connection any more.
struct DemandsTls<'a>(&'a Postgres);

impl Drop for DemandsTls<'_> {
    fn drop(&mut self) {
        self.0.pool.set_connect_options(self.0.search.options());
    }
}

/// Runs the statement. Returns the connection unless it must not be used again.
async fn run(
    mut connection: PoolConnection<Database>,
    ask: (SqlStr, Option<PgArguments>),
    share: Share,
    backends: &ServerProcesses,
) -> (Result<Vec<PgRow>, sqlx::Error>, Option<PoolConnection<Database>>) {
    let late = async {
        sleep(ANSWER_TIMEOUT).await;
        drop(backends.late().await);
    };
    let answer = tokio::select! {
        answer = fetch(&mut connection, ask, share) => Some(answer),
        () = late => None,
    };
    let answer = match answer {
        Some(Err(error)) if code(&error).is_some_and(|code| code == READ_ONLY) => {
            backends.suspect();
            Err(error)
        }
        Some(answer) => return (answer, Some(connection)),
        None => Err(silence()),
    };
    // A detached connection is closed and frees its slot in the pool.
    drop(connection.detach());
    (answer, None)
}

async fn fetch(
    connection: &mut PgConnection,
    ask: (SqlStr, Option<PgArguments>),
    share: Share,
) -> Result<Vec<PgRow>, sqlx::Error> {
    match share {
        Share::Work | Share::Lookups => connection.fetch_all(ask).await,
        Share::Lists => {
            let mut transaction = connection.begin_with(BEGIN_SEARCH).await?;
            let rows = transaction.fetch_all(ask).await?;
            transaction.commit().await?;
            Ok(rows)
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
