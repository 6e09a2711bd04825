//! The sign of life of this process: session advisory locks on a dedicated connection. The server
//! releases them when the connection ends: milliseconds after a `kill -9`, or within 8 s by its TCP
//! keepalive after a loss of power.
//!
//! There is one lock for each incarnation of a worker, one for the publisher, one more that says that
//! it signs its messages, and one while it receives updates. After a lost connection a new one takes
//! all of them again.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use galley_protocol::IncarnationId;
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Row};
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::Postgres;
use super::server_search::ServerSearch;
use super::statements::{NO_LIMITS, PostgresQuery, prepare, refusal, silence};
use crate::{Result, StoreError};

/// The classes of advisory locks: the first half of a lock's key.
pub(super) const INCARNATION: i32 = i32::from_be_bytes(*b"GALY");
pub(super) const PUBLISHER: i32 = i32::from_be_bytes(*b"GALP");
pub(super) const HEARING: i32 = i32::from_be_bytes(*b"GALH");
/// Publishers of the version before have none of these.
pub(super) const SIGNING: i32 = i32::from_be_bytes(*b"GALS");

/// The time after a loss of locks in which nobody is judged dead: the living take theirs again.
pub(super) const CALM: Duration = Duration::from_secs(3);
/// The longest time for one answer on the connection, and for connecting.
pub(super) const PROBE: Duration = Duration::from_secs(1);

/// An advisory lock: its class and its number within the class.
pub(super) type Lock = (i32, i32);

/// The locks of this process; every start of a worker adds one, so the sets need no other bound.
#[derive(Default)]
pub(super) struct Liveness {
    wanted: Mutex<BTreeSet<Lock>>,
    line: tokio::sync::Mutex<LivenessConnection>,
    /// The time when lost locks were last taken again.
    retaken: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct LivenessConnection {
    connection: Option<PgConnection>,
    held: BTreeSet<Lock>,
    /// True once locks have been held: a later connection replaces a lost one.
    is_second: bool,
}

impl Liveness {
    /// Returns true if no locks were lost lately; then other processes lost none either.
    pub(super) fn is_calm(&self) -> bool {
        self.retaken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none_or(|time| time.elapsed() >= CALM)
    }

    /// Adds a lock to the wanted ones or removes it. [`Postgres::alive`] takes or releases it.
    pub(super) fn want(&self, lock: Lock, wanted: bool) {
        let mut set = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted {
            set.insert(lock)
        } else {
            set.remove(&lock)
        };
    }

    fn wanted(&self) -> BTreeSet<Lock> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) async fn end(&self) {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let mut line = self.line.lock().await;
        if let Some(connection) = line.connection.take() {
            drop(timeout(PROBE, connection.close()).await);
        }
    }
}

impl Postgres {
    /// Runs a statement once the connection, replaced if lost, holds exactly the wanted locks.
    pub(super) async fn alive<'q>(
        &self,
        ask: impl Fn() -> PostgresQuery<'q>,
    ) -> Result<Vec<PgRow>> {
        let mut line = self.liveness.line.lock().await;
        let wanted = self.liveness.wanted();
        if line.connection.is_some()
            && let Ok(rows) = line.hold_and_ask(&wanted, &ask).await
        {
            return Ok(rows);
        }
        let again = async {
            line.connect(&self.search).await?;
            // The server may be another one than before.
            self.pool.set_connect_options(self.search.options());
            line.hold_and_ask(&wanted, &ask).await.map_err(|error| refusal(&error))
        };
        let rows = again.await.inspect_err(|error| self.outage.note(error))?;
        if std::mem::replace(&mut line.is_second, true) {
            warn!("lost the connection that shows that this process lives; connected again");
            *self.liveness.retaken.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(Instant::now());
        }
        Ok(rows)
    }

    /// Closes the connection, which releases its locks. The next call takes them again.
    pub(super) async fn leave_server(&self) {
        let mut line = self.liveness.line.lock().await;
        if let Some(connection) = line.connection.take() {
            drop(timeout(PROBE, connection.close()).await);
        }
    }
}

impl LivenessConnection {
    async fn connect(&mut self, search: &ServerSearch) -> Result<()> {
        *self = Self { is_second: self.is_second, ..Self::default() };
        let mut connection = search.find(PROBE).await.map_err(|none| none.running)?;
        let prepared = timeout(PROBE, prepare(&mut connection, NO_LIMITS)).await;
        prepared.unwrap_or_else(|_| Err(silence())).map_err(|error| refusal(&error))?;
        self.connection = Some(connection);
        Ok(())
    }

    /// Takes and releases locks, then runs the statement. It does not wait for a lock that the
    /// server still assigns to the lost connection; the next call tries again.
    async fn hold_and_ask<'q>(
        &mut self,
        wanted: &BTreeSet<Lock>,
        ask: impl Fn() -> PostgresQuery<'q>,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let superfluous: Vec<Lock> = self.held.difference(wanted).copied().collect();
        if !superfluous.is_empty() {
            self.ask(give_back(&superfluous)).await?;
        }
        let missing: Vec<Lock> = wanted.difference(&self.held).copied().collect();
        if !missing.is_empty() {
            let taken = self.ask(take(&missing)).await?;
            if !taken.first().is_some_and(|row| row.get("all_taken")) {
                self.connection = None;
                return Err(
                    io::Error::other("the server still sees the connection that was lost").into()
                );
            }
        }
        self.held.clone_from(wanted);
        self.ask(ask()).await
    }

    /// Runs a statement. A connection that fails or does not answer is dropped with its locks.
    async fn ask(&mut self, ask: PostgresQuery<'_>) -> Result<Vec<PgRow>, sqlx::Error> {
        let mut connection = self.connection.take().ok_or(sqlx::Error::WorkerCrashed)?;
        let rows = timeout(PROBE, ask.fetch_all(&mut connection))
            .await
            .unwrap_or_else(|_| Err(silence()))?;
        self.connection = Some(connection);
        Ok(rows)
    }
}

fn take<'q>(locks: &[Lock]) -> PostgresQuery<'q> {
    let (classes, numbers) = columns(locks);
    sqlx::query(
        "/* take_locks */
         select bool_and(pg_try_advisory_lock(class, number)) as all_taken from unnest($1::int[], $2::int[]) as lock(class, number)",
    )
    .bind(classes)
    .bind(numbers)
}

fn give_back<'q>(locks: &[Lock]) -> PostgresQuery<'q> {
    let (classes, numbers) = columns(locks);
    sqlx::query(
        "/* give_locks_back */
         select pg_advisory_unlock(class, number) from unnest($1::int[], $2::int[]) as lock(class, number)",
    )
    .bind(classes)
    .bind(numbers)
}

fn columns(locks: &[Lock]) -> (Vec<i32>, Vec<i32>) {
    locks.iter().copied().unzip()
}

/// The lock of an incarnation. Incarnations are numbered by a sequence of `int`.
pub(super) fn lock_of(id: IncarnationId) -> Result<Lock> {
    let number = i32::try_from(id.get())
        .map_err(|_| StoreError::Failed("that is not an incarnation".to_owned()))?;
    Ok((INCARNATION, number))
}
