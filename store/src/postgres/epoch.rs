//! The epoch of the database and the key of its cursors, shared by all processes.
//!
//! The row of the key records where it was written: the server, the database, the timeline and the
//! transaction. Restoring a dump changes its `xmin`. Promoting a standby or recovering a backup
//! changes the timeline. The first process that sees such a difference begins a new epoch. If only
//! the timeline differs, the history up to that point is the same: cursors of earlier epochs stay
//! valid up to the position at which the new epoch began.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use galley_protocol::{CursorKey, OrderId, ResumeCursor, SignedCursor};
use sqlx::postgres::PgRow;
use tokio::time::Instant;
use tracing::{debug, info};

use super::Postgres;
use crate::cursor_keys::{Earlier, seed};
use crate::row_values::{get, parse, time};
use crate::{Result, StoreError};

/// The least time between two reads of the key that cursors of unknown epochs cause.
const READ_EVERY: Duration = Duration::from_secs(1);

const HERE: &str = "/* here */
    select pg_control_system.system_identifier::text as server, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) as timeline
    from pg_control_system()";

/// Selects the key. `own` is true if the row was written in this database by the transaction that
/// it names. `tells` is true if the server can be asked for its identity: a standby cannot be, and
/// a managed server may not permit it to this role.
const KEY: &str = "/* cursor_key */
    select cursor_key.epoch, cursor_key.secret, server, timeline,
        earlier.epoch as earlier_epoch, earlier.secret as earlier_secret, earlier.last,
        coalesce(cursor_key.database = here.oid and cursor_key.writer = cursor_key.xmin::text, false) as own,
        not pg_is_in_recovery() and has_function_privilege('pg_control_system()', 'execute')
            and has_function_privilege('pg_walfile_name(pg_lsn)', 'execute')
            and has_function_privilege('pg_current_wal_insert_lsn()', 'execute') as tells
    from pg_database as here left join cursor_key on true left join earlier_cursor_keys as earlier on earlier.heir = cursor_key.epoch
    where here.datname = current_database()";

#[derive(Debug, Default)]
struct Here {
    server: Option<String>,
    timeline: Option<String>,
}

impl Here {
    /// Returns true unless both are known and one of them differs.
    fn may_be(&self, other: &Self) -> bool {
        let same = |one: &Option<String>, other: &Option<String>| {
            one.is_none() || other.is_none() || one == other
        };
        same(&self.server, &other.server) && same(&self.timeline, &other.timeline)
    }
}

#[derive(Debug, Default)]
pub(super) struct KeyRead {
    last: Mutex<Option<Instant>>,
    /// True if the server refuses to report its identity.
    is_mute: AtomicBool,
}

impl KeyRead {
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
    /// The cursor of the snapshot that read this row; `low_watermark` was read before. If the
    /// snapshot saw an epoch that this process does not know as the newest, the key is read first:
    /// a position of the new epoch must not be signed with an earlier key.
    pub(super) async fn cursor(&self, row: &PgRow, low_watermark: OrderId) -> Result<ResumeCursor> {
        let epoch = get::<Option<i64>>(row, "epoch")?;
        if epoch != Some(self.cursor_keys.newest().into()) {
            self.check_epoch().await?;
        }
        Ok(ResumeCursor {
            time: time(row, "moment")?,
            low_watermark,
            position: get(row, "position")?,
        })
    }

    /// Reads the key if a cursor has an unknown epoch, which another process may have begun.
    pub(super) async fn learn_epoch_of(&self, text: &str) {
        let is_unknown =
            SignedCursor::epoch_of(text).is_ok_and(|epoch| !self.cursor_keys.know(epoch));
        if is_unknown
            && self.key_read.is_due()
            && let Err(error) = self.check_epoch().await
        {
            debug!(%error, "cannot read the key of cursors");
        }
    }

    /// Reads the key of the epoch; begins one if there is none or its row is from elsewhere.
    pub(super) async fn check_epoch(&self) -> Result<()> {
        let rows = self.rows(|| sqlx::query(KEY)).await?;
        let row =
            rows.first().ok_or_else(|| StoreError::Failed("no name of the database".to_owned()))?;
        let here = if get(row, "tells")? { self.here().await? } else { Here::default() };
        let made = Here { server: get(row, "server")?, timeline: get(row, "timeline")? };
        if get(row, "own")? && here.may_be(&made) {
            self.take_keys(&rows)
        } else {
            self.begin_epoch(&here).await
        }
    }

    /// Begins an epoch. If several processes do so at once, the first one wins and the others use
    /// its key. A process that does not see the new epoch yet gets positions up to this
    /// transaction, and cursors of the earlier epoch are valid up to there.
    async fn begin_epoch(&self, here: &Here) -> Result<()> {
        let (epoch, secret) = seed();
        let rows = self.rows(|| {
            sqlx::query(
                "/* begin_epoch */
                 with before as materialized (
                     select epoch, secret from cursor_key
                     where writer = cursor_key.xmin::text and server = $3 and timeline <> $4
                         and database = (select oid from pg_database where datname = current_database())
                 ), inherited as (
                     update earlier_cursor_keys set heir = $1 from before where heir = before.epoch
                 ), ended as (
                     insert into earlier_cursor_keys (epoch, secret, last, heir)
                     select epoch, secret, pg_current_xact_id()::text::bigint, $1 from before
                     on conflict (epoch) do nothing
                 )
                 insert into cursor_key (epoch, secret, server, database, timeline, writer)
                 select $1, $2, $3, oid, $4, pg_current_xact_id()::xid::text from pg_database where datname = current_database()
                 on conflict (one) do update
                 set epoch = excluded.epoch, secret = excluded.secret, server = excluded.server, database = excluded.database,
                     timeline = excluded.timeline, writer = excluded.writer
                 where cursor_key.writer <> cursor_key.xmin::text or cursor_key.database <> excluded.database
                     or cursor_key.server <> $3 or cursor_key.timeline <> $4
                 returning epoch",
            )
            .bind(i64::from(epoch))
            .bind(&secret[..])
            .bind(&here.server)
            .bind(&here.timeline)
        });
        if !rows.await?.is_empty() {
            info!(
                epoch,
                "the database is new, failed over or was restored; cursors from beyond that point begin anew"
            );
        }
        let rows = self.rows(|| sqlx::query(KEY)).await?;
        self.take_keys(&rows)
    }

    /// Stores the keys, from one row for each earlier key, and at least one row.
    fn take_keys(&self, rows: &[PgRow]) -> Result<()> {
        let Some(first) = rows.first() else { return Ok(()) };
        let mut earlier = Vec::new();
        for row in rows {
            if let Some(last) = get::<Option<i64>>(row, "last")? {
                earlier.push(Earlier { key: key(row, "earlier_epoch", "earlier_secret")?, last });
            }
        }
        self.cursor_keys.set(key(first, "epoch", "secret")?, earlier);
        Ok(())
    }

    /// Reads the server's identity, unless the server refused before.
    async fn here(&self) -> Result<Here> {
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
        rows.first().map_or(Ok(Here::default()), |row| {
            Ok(Here { server: get(row, "server")?, timeline: get(row, "timeline")? })
        })
    }
}

fn key(row: &PgRow, epoch: &str, secret: &str) -> Result<CursorKey> {
    Ok(CursorKey::new(parse::<i64, u32>(row, epoch)?, &get::<Vec<u8>>(row, secret)?))
}
