//! Moves the low watermark up, forgets what is old, and folds again what an older program wrote. Every
//! process may call this at any time; what several do at once is done once.
//!
//! Ids are assigned before commit. The floor therefore never passes the greatest id that was
//! assigned [`LAG`] ago, and stands still while a transaction of that moment that was changing
//! orders is not over, however long its commit waits: its lock on the table shows it, whoever's it
//! is, and no clock is asked. The low watermark must never pass an order that is active.
//!
//! Whoever looks for orders asks for the watermark in a subquery, or looks in one: a plain join of
//! the two is planned as a walk through all orders from the first one on, which never ends where
//! there are hundreds of millions.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Postgres;
use crate::codes::active;
use crate::row_values::get;
use crate::{RETENTION, StoreError};

/// How far the low watermark lags behind.
const LAG: Duration = Duration::from_secs(30);
/// The least time between two marks, so that at most `LAG / MARK_STEP` and one more are remembered.
const MARK_STEP: Duration = Duration::from_secs(1);
/// How many ids one statement looks at, which takes it some 10 ms, and how many statements move the
/// low watermark in one call; the rest waits for the next.
const FLOOR_WINDOW: i64 = 20_000;
const FLOOR_STEPS: usize = 100;
/// How often old rows are forgotten, how many by one statement, and by how many statements; the
/// rest waits for the next time.
const FORGET_STEP: Duration = Duration::from_secs(30);
const FORGET_CHUNK: i64 = 5_000;
const FORGET_STEPS: usize = 10;
/// How many batches of stale foldings are made anew at the same times; the rest waits for the next
/// time.
const FOLD_STEPS: usize = 10;

/// Forgets old keys of one table; what is beyond a chunk waits for the next time.
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

/// The last assigned id at a moment.
#[derive(Clone, Debug)]
pub(super) struct IdSighting {
    time: Instant,
    /// The greatest id.
    id: i64,
    /// The transactions that were changing orders, by their virtual ids: as many as the server has
    /// connections at most.
    changing: HashSet<String>,
}

/// The state between two calls.
#[derive(Default)]
pub(super) struct Maintenance {
    /// Oldest first.
    marks: Mutex<VecDeque<IdSighting>>,
    forgotten: Mutex<Option<Instant>>,
}

impl Maintenance {
    /// Remembers the mark, and returns the greatest id of at least [`LAG`] ago, if all transactions
    /// of that moment are over by now. Marks above a newer one are of another server, before a
    /// failover.
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

    /// Returns true if it is time to forget.
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
    /// Forgets what is older than [`RETENTION`], and folds again.
    pub(super) async fn forget(&self) -> Result<(), StoreError> {
        self.forget_deleted().await?;
        self.forget_keys().await?;
        self.forget_creation_keys().await?;
        self.forget_cursor_keys().await?;
        // A gateway of an older version may have written meanwhile.
        self.fold_again(Some(FOLD_STEPS)).await
    }

    /// Their cursors are too old by then.
    async fn forget_cursor_keys(&self) -> Result<(), StoreError> {
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

    async fn forget_creation_keys(&self) -> Result<(), StoreError> {
        for statement in [forget_creation_keys!("heroes"), forget_creation_keys!("meals")] {
            self.rows(|| sqlx::query(statement).bind(RETENTION.as_secs_f64()).bind(FORGET_CHUNK))
                .await?;
        }
        Ok(())
    }

    /// The id is read before the locks: an order that has a smaller one is seen by all unless its
    /// transaction holds a lock.
    pub(super) async fn assigned(&self, time: Instant) -> Result<IdSighting, StoreError> {
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

    pub(super) async fn move_floor(&self, settled: i64) -> Result<(), StoreError> {
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

    pub(super) async fn read_floor(&self) -> Result<(), StoreError> {
        let rows = self.rows(|| sqlx::query("/* floor */ select floor from watermark")).await?;
        rows.iter().try_for_each(|row| {
            get(row, "floor").map(|low_watermark| self.low_watermark.set(low_watermark))
        })
    }

    async fn forget_deleted(&self) -> Result<(), StoreError> {
        for _ in 0..FORGET_STEPS {
            let rows = self.rows(|| {
                sqlx::query(
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
                .bind(RETENTION.as_secs_f64())
                .bind(FORGET_CHUNK)
            });
            if rows.await?.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Goes through the orders by rising id, once, up to the first one that is not old.
    async fn forget_keys(&self) -> Result<(), StoreError> {
        for _ in 0..FORGET_STEPS {
            let rows = self.rows(|| {
                sqlx::query(
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
                .bind(RETENTION.as_secs_f64())
                .bind(FORGET_CHUNK)
            });
            if rows.await?.is_empty() {
                break;
            }
        }
        Ok(())
    }
}
