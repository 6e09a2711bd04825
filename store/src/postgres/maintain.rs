//! Raises the low watermark, forgets old rows, and refolds texts that an older program wrote. Every
//! process may call this at any time; concurrent calls do the work once.
//!
//! The low watermark must never pass an active order. Ids are assigned before the commit, so the
//! low watermark only passes ids that were assigned at least [`LAG`] ago. It does not move while a
//! transaction that was changing orders at that time is still open, however long its commit takes.
//! The lock of such a transaction on the table shows this for every process, without a clock.
//!
//! Statements that look for orders read the watermark in a subquery. The planner turns a plain join
//! of the two into a scan of all orders from the first one, which is far too slow for hundreds of
//! millions.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Postgres;
use crate::codes::active;
use crate::row_values::get;
use crate::{RETENTION, Result};

/// The age of the ids that the low watermark may pass.
const LAG: Duration = Duration::from_secs(30);
/// The least time between two marks. At most `LAG / MARK_STEP + 1` are kept.
const MARK_STEP: Duration = Duration::from_secs(1);
/// The most ids of one statement, about 10 ms, and the most statements of one call.
const FLOOR_WINDOW: i64 = 20_000;
const FLOOR_STEPS: usize = 100;
/// The pause between rounds of forgetting, the most rows of a statement, the most statements.
const FORGET_STEP: Duration = Duration::from_secs(30);
const FORGET_CHUNK: i64 = 5_000;
const FORGET_STEPS: usize = 10;
/// The most batches of stale foldings in the same round. The next round does the remainder.
const FOLD_STEPS: usize = 10;

/// Forgets a chunk of old keys of one table. The next round does the remainder.
macro_rules! forget_creation_keys {
    ($table:literal) => {
        concat! {
            "/* forget_creation_keys */
             with old as materialized (
                 select id from ", $table, "
                 where creation_key is not null
                   and creation_time < now() - make_interval(secs => $1::float8)
                 limit $2 for update skip locked
             )
             update ", $table, " as known
             set creation_key = null, creation_digest = null, creation_time = null
             from old where known.id = old.id"
        }
    };
}

/// The last assigned id at a moment, and the transactions that were changing orders then.
#[derive(Clone, Debug)]
pub(super) struct IdSighting {
    time: Instant,
    id: i64,
    /// The virtual ids of the transactions that were changing orders; at most one per connection.
    changing: HashSet<String>,
}

#[derive(Default)]
pub(super) struct Maintenance {
    /// Oldest first.
    marks: Mutex<VecDeque<IdSighting>>,
    forgotten: Mutex<Option<Instant>>,
}

impl Maintenance {
    /// Keeps the mark. Returns the greatest id of at least [`LAG`] ago if all transactions of that
    /// moment have ended. Marks with greater ids than this one came from another server, before a
    /// failover, and are dropped.
    pub(super) fn mark(&self, mark: IdSighting) -> Option<i64> {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, changing) = (mark.time, mark.changing.clone());
        if marks.back().is_some_and(|last| mark.id < last.id) {
            marks.clear();
        }
        if marks.back().is_none_or(|last| now - last.time >= MARK_STEP) {
            marks.push_back(mark);
        }
        while marks.get(1).is_some_and(|next| now - next.time >= LAG) {
            marks.pop_front();
        }
        let is_over =
            |mark: &&IdSighting| now - mark.time >= LAG && mark.changing.is_disjoint(&changing);
        marks.front().filter(is_over).map(|mark| mark.id)
    }

    pub(super) fn is_forgetful(&self, now: Instant) -> bool {
        let mut forgotten = self.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
        let due = forgotten.is_none_or(|time| now - time >= FORGET_STEP);
        if due {
            *forgotten = Some(now);
        }
        due
    }
}

impl Postgres {
    pub(super) async fn forget(&self) -> Result<()> {
        self.forget_deleted().await?;
        self.forget_keys().await?;
        self.forget_creation_keys().await?;
        self.forget_cursor_keys().await?;
        // An older gateway may have written since.
        self.fold_again(Some(FOLD_STEPS)).await
    }

    async fn forget_cursor_keys(&self) -> Result<()> {
        self.rows(|| {
            sqlx::query(
                "/* forget_cursor_keys */
                 delete from earlier_cursor_keys where ended_time < now() - make_interval(secs => $1::float8)",
            )
            .bind(RETENTION.as_secs_f64())
        })
        .await
        .map(drop)
    }

    async fn forget_creation_keys(&self) -> Result<()> {
        for statement in [forget_creation_keys!("heroes"), forget_creation_keys!("meals")] {
            self.rows(|| sqlx::query(statement).bind(RETENTION.as_secs_f64()).bind(FORGET_CHUNK))
                .await?;
        }
        Ok(())
    }

    /// Reads the last assigned id, then the locks. An order with a smaller id is therefore visible
    /// to all, or its transaction holds a lock.
    pub(super) async fn assigned(&self, time: Instant) -> Result<IdSighting> {
        let assigned = self
            .rows(|| sqlx::query("/* assigned */ select case when is_called then last_value else 0 end as id from order_ids"));
        let id = assigned.await?.first().map_or(Ok(0), |row| get(row, "id"))?;
        let changing = self.rows(|| {
            sqlx::query(
                "/* changing_orders */
                 select virtualtransaction from pg_locks
                 where locktype = 'relation' and granted and mode = 'RowExclusiveLock' and relation = 'orders'::regclass
                   and database = (select oid from pg_database where datname = current_database())",
            )
        });
        let changing = changing
            .await?
            .iter()
            .map(|row| get(row, "virtualtransaction"))
            .collect::<Result<_, _>>()?;
        Ok(IdSighting { time, id, changing })
    }

    pub(super) async fn move_floor(&self, settled: i64) -> Result<()> {
        for _ in 0..FLOOR_STEPS {
            let rows = self.rows(|| {
                sqlx::query(concat! {
                    "/* move_floor */
                     with target as materialized (
                         select coalesce(
                             (select id from orders
                              where id >= reach.floor and id < reach.ceiling and ", active!(), "
                              order by id limit 1),
                             reach.ceiling) as floor
                         from (select floor, least($1 + 1, floor + $2) as ceiling
                               from watermark) as reach
                     )
                     update watermark set floor = target.floor from target
                     where watermark.floor < target.floor
                     returning watermark.floor"
                })
                .bind(settled)
                .bind(FLOOR_WINDOW)
            });
            let low_watermark: Option<i64> =
                rows.await?.first().map(|row| get(row, "floor")).transpose()?;
            if low_watermark.is_none_or(|low_watermark| low_watermark > settled) {
                break;
            }
        }
        Ok(())
    }

    pub(super) async fn read_floor(&self) -> Result<()> {
        let rows = self.rows(|| sqlx::query("/* floor */ select floor from watermark")).await?;
        rows.iter().try_for_each(|row| {
            get(row, "floor").map(|low_watermark| self.low_watermark.set(low_watermark))
        })
    }

    /// Removes deleted rows, and notes up to which position deletions are forgotten. `xmin` holds
    /// the lower 32 bits of a transaction; the position is the last one with these bits before the
    /// snapshot's `xmax`.
    async fn forget_deleted(&self) -> Result<()> {
        self.forget_in_chunks(
            "/* forget_deleted */
             with old as materialized (
                 select id, xmin::text::bigint as writer from orders
                 where deleted_time < now() - make_interval(secs => $1::float8)
                 limit $2 for update skip locked
             ), newest as (
                 select max(snapshot.next - ((snapshot.next - old.writer) & 4294967295)) as position
                 from old, (select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next) as snapshot
             ), mark as (
                 update watermark set forgotten = newest.position from newest where watermark.forgotten < newest.position
             )
             delete from orders using old where orders.id = old.id
             returning orders.id",
        )
        .await
    }

    /// Clears idempotency keys by rising id up to the first order that is not old: each one once.
    async fn forget_keys(&self) -> Result<()> {
        self.forget_in_chunks(
            "/* forget_keys */
             with chunk as materialized (
                 select id, key, order_time < now() - make_interval(secs => $1::float8) as old
                 from orders where id >= (select key_floor from watermark) order by id limit $2
             ), old as materialized (
                 select id, key from chunk where id < coalesce((select min(id) from chunk where not old), 9223372036854775807)
             ), forgotten as (
                 update orders set key = null, key_scope = null from old where orders.id = old.id and old.key is not null
             )
             update watermark set key_floor = newest.id + 1 from (select max(id) as id from old) as newest
             where watermark.key_floor <= newest.id
             returning watermark.key_floor",
        )
        .await
    }

    async fn forget_in_chunks(&self, statement: &'static str) -> Result<()> {
        for _ in 0..FORGET_STEPS {
            let rows = self
                .rows(|| sqlx::query(statement).bind(RETENTION.as_secs_f64()).bind(FORGET_CHUNK));
            if rows.await?.is_empty() {
                break;
            }
        }
        Ok(())
    }
}
