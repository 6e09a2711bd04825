//! The epoch of the database and the key of its cursors, shared by all processes.
//!
//! The row tells where it was made: in which server and database, on which timeline, and by which transaction. A dump that is
//! restored anywhere gets another `xmin`, a promoted standby and a recovered backup another timeline. Whoever sees first that
//! the row was made elsewhere begins another epoch.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use galley_protocol::{CursorKey, ResumeCursor, SignedCursor};
use sqlx::postgres::PgRow;
use tokio::time::Instant;
use tracing::{debug, info};

use super::Postgres;
use crate::StoreError;
use crate::cursors::seed;
use crate::rows::{get, parse};

/// The least time between two reads of the key for the sake of cursors of an unknown epoch.
const READ_EVERY: Duration = Duration::from_secs(1);

/// Tells where this is.
const HERE: &str = "/* here */
    select pg_control_system.system_identifier::text as server, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) as timeline
    from pg_control_system()";

/// Reads the key, and whether the row was made in this database, by the transaction that it names. `tells` says that the server
/// can be asked where it is: a standby cannot, and a managed server may not let this role ask.
const KEY: &str = "/* cursor_key */
    select epoch, secret, server, timeline,
        coalesce(cursor_key.database = here.oid and cursor_key.writer = cursor_key.xmin::text, false) as own,
        not pg_is_in_recovery() and has_function_privilege('pg_control_system()', 'execute')
            and has_function_privilege('pg_walfile_name(pg_lsn)', 'execute')
            and has_function_privilege('pg_current_wal_insert_lsn()', 'execute') as tells
    from pg_database as here left join cursor_key on true where here.datname = current_database()";

/// A server and its timeline, as far as they are known.
#[derive(Debug, Default)]
struct Here {
    server: Option<String>,
    timeline: Option<String>,
}

impl Here {
    /// Returns true unless one of them is known to be another.
    fn may_be(&self, other: &Self) -> bool {
        let same = |one: &Option<String>, other: &Option<String>| one.is_none() || other.is_none() || one == other;
        same(&self.server, &other.server) && same(&self.timeline, &other.timeline)
    }
}

/// How this process reads the key.
#[derive(Debug, Default)]
pub(super) struct KeyRead {
    last: Mutex<Option<Instant>>,
    /// The server does not tell where it is.
    is_mute: AtomicBool,
}

impl KeyRead {
    /// Returns true if it is time to read the key again, and notes that.
    fn is_due(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|time| time.elapsed() >= READ_EVERY);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }
}

impl Postgres {
    /// Reads a cursor that a client brought. Another process may have begun another epoch since this one read the key.
    pub(super) async fn read_signed(&self, text: &str) -> ResumeCursor {
        let is_unknown = SignedCursor::epoch_of(text).is_ok_and(|epoch| !self.cursor_keys.know(epoch));
        if is_unknown
            && self.key_read.is_due()
            && let Err(error) = self.check_epoch().await
        {
            debug!(%error, "cannot read the key of cursors");
        }
        self.cursor_keys.read(text).unwrap_or(ResumeCursor::EXPIRED)
    }

    /// Reads the key of this database's epoch. Begins an epoch if there is none yet, or if the row was made elsewhere.
    pub(super) async fn check_epoch(&self) -> Result<(), StoreError> {
        let rows = self.rows(|| sqlx::query(KEY)).await?;
        let row = rows.first().ok_or_else(|| StoreError::Failed("no name of the database".to_owned()))?;
        let here = if get(row, "tells")? { self.here().await? } else { Here::default() };
        let made = Here { server: get(row, "server")?, timeline: get(row, "timeline")? };
        if get(row, "own")? && here.may_be(&made) { self.take_key(row) } else { self.begin_epoch(&here).await }
    }

    /// Of several that begin one at once the first wins, and the others take its key.
    async fn begin_epoch(&self, here: &Here) -> Result<(), StoreError> {
        let (epoch, secret) = seed();
        let rows = self.rows(|| {
            sqlx::query(
                "/* begin_epoch */
                 insert into cursor_key (epoch, secret, server, database, timeline, writer)
                 select $1, $2, $3, oid, $4, pg_current_xact_id()::xid::text from pg_database where datname = current_database()
                 on conflict (one) do update
                 set epoch = excluded.epoch, secret = excluded.secret, server = excluded.server, database = excluded.database,
                     timeline = excluded.timeline, writer = excluded.writer
                 where cursor_key.writer <> cursor_key.xmin::text or cursor_key.database <> excluded.database
                     or cursor_key.server <> $3 or cursor_key.timeline <> $4
                 returning epoch, secret",
            )
            .bind(i64::from(epoch))
            .bind(&secret[..])
            .bind(&here.server)
            .bind(&here.timeline)
        });
        if let Some(row) = rows.await?.first() {
            info!(epoch, "the database is new here or was restored: cursors of clients from before begin anew");
            return self.take_key(row);
        }
        let rows = self.rows(|| sqlx::query("/* new_cursor_key */ select epoch, secret from cursor_key")).await?;
        rows.first().map_or(Ok(()), |row| self.take_key(row))
    }

    fn take_key(&self, row: &PgRow) -> Result<(), StoreError> {
        let secret: Vec<u8> = get(row, "secret")?;
        self.cursor_keys.set(CursorKey::new(parse::<i64, u32>(row, "epoch")?, &secret), Vec::new());
        Ok(())
    }

    /// A server that lets the role ask and then refuses is not asked again.
    async fn here(&self) -> Result<Here, StoreError> {
        if self.key_read.is_mute.load(Ordering::Relaxed) {
            return Ok(Here::default());
        }
        let rows = match self.rows(|| sqlx::query(HERE)).await {
            Err(StoreError::Failed(_)) => {
                self.key_read.is_mute.store(true, Ordering::Relaxed);
                Vec::new()
            }
            answer => answer?,
        };
        rows.first().map_or(Ok(Here::default()), |row| Ok(Here { server: get(row, "server")?, timeline: get(row, "timeline")? }))
    }
}
