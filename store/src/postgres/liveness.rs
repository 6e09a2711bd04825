//! How others see that this process lives: session advisory locks, on one connection that does
//! nothing else. The server frees them as soon as the connection is gone, milliseconds after a kill
//! -9; after a loss of power its TCP keepalive notices within 8 s.
//!
//! One lock for each incarnation of a worker, one for the publisher, and one more while it hears
//! updates. A connection that was lost is made again with all of them.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use galley_protocol::IncarnationId;
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{Connection, PgConnection, Row};
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::Postgres;
use super::statements::{PostgresQuery, refusal, silence};
use crate::StoreError;

/// The first half of the name of a lock, which says what it stands for.
pub(super) const INCARNATION: i32 = i32::from_be_bytes(*b"GALY");
pub(super) const PUBLISHER: i32 = i32::from_be_bytes(*b"GALP");
pub(super) const HEARING: i32 = i32::from_be_bytes(*b"GALH");

/// How long after an upset nobody is judged dead: living processes take their locks again
/// meanwhile.
pub(super) const CALM: Duration = Duration::from_secs(3);
/// How long the connection may be silent, and how long a new one may take.
pub(super) const PROBE: Duration = Duration::from_secs(1);

/// An advisory lock: its class, and a number of that class.
pub(super) type Lock = (i32, i32);

/// The locks of this process. One incarnation per start of a worker, so that the sets need no other
/// bound.
#[derive(Default)]
pub(super) struct Liveness {
    wanted: Mutex<BTreeSet<Lock>>,
    line: tokio::sync::Mutex<LivenessConnection>,
    /// When the locks were lost and taken again.
    retaken: Mutex<Option<Instant>>,
}

/// The connection that holds the locks.
#[derive(Default)]
struct LivenessConnection {
    connection: Option<PgConnection>,
    held: BTreeSet<Lock>,
    /// Locks were held once: a connection that is made again was lost before.
    is_second: bool,
}

impl Liveness {
    /// Returns true if no lock of this process was lost lately, and so those of others neither.
    pub(super) fn is_calm(&self) -> bool {
        self.retaken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none_or(|time| time.elapsed() >= CALM)
    }

    /// Wants a lock from now on, or does not want it any more. [`Postgres::alive`] sees to it.
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

    /// Lets go of all locks, for good.
    pub(super) async fn end(&self) {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let mut line = self.line.lock().await;
        if let Some(connection) = line.connection.take() {
            drop(timeout(PROBE, connection.close()).await);
        }
    }
}

impl Postgres {
    /// Asks on the connection that holds the locks, as soon as it holds those that are wanted and
    /// no others. A connection that was lost is made again.
    pub(super) async fn alive<'q>(
        &self,
        ask: impl Fn() -> PostgresQuery<'q>,
    ) -> Result<Vec<PgRow>, StoreError> {
        let mut line = self.liveness.line.lock().await;
        let wanted = self.liveness.wanted();
        if line.connection.is_some()
            && let Ok(rows) = line.hold_and_ask(&wanted, &ask).await
        {
            return Ok(rows);
        }
        let again = async {
            line.connect(&self.options).await?;
            line.hold_and_ask(&wanted, &ask).await
        };
        let rows = again
            .await
            .map_err(|error| refusal(&error))
            .inspect_err(|error| self.outage.note(error))?;
        if std::mem::replace(&mut line.is_second, true) {
            warn!("lost the connection that shows that this process lives; connected again");
            *self.liveness.retaken.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(Instant::now());
        }
        Ok(rows)
    }

    /// Lets go of the connection, and of its locks, which the next call takes again.
    pub(super) async fn leave_server(&self) {
        let mut line = self.liveness.line.lock().await;
        if let Some(connection) = line.connection.take() {
            drop(timeout(PROBE, connection.close()).await);
        }
    }
}

impl LivenessConnection {
    async fn connect(&mut self, options: &PgConnectOptions) -> Result<(), sqlx::Error> {
        *self = Self { is_second: self.is_second, ..Self::default() };
        let connected = timeout(PROBE, PgConnection::connect_with(options)).await;
        self.connection = Some(connected.unwrap_or_else(|_| Err(silence()))?);
        Ok(())
    }

    /// A lock that the server still sees on the connection that was lost is not waited for: the
    /// next call tries again.
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

    /// A connection that fails or is silent is thrown away. With it go the locks.
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

/// Incarnations are numbered by a sequence of `int`.
pub(super) fn lock_of(id: IncarnationId) -> Result<Lock, StoreError> {
    let number = i32::try_from(id.get())
        .map_err(|_| StoreError::Failed("that is not an incarnation".to_owned()))?;
    Ok((INCARNATION, number))
}
