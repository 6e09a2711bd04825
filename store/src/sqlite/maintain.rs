//! Raises the low watermark and forgets old rows. Orders are committed in the order of their ids
//! here, so the low watermark needs no lag.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use super::Sqlite;
use super::statements::now;
use crate::codes::active;
use crate::row_values::get;
use crate::{RETENTION, Result};

/// The pause between rounds of forgetting, the most rows of a statement, the most statements.
const FORGET_STEP: Duration = Duration::from_secs(30);
const FORGET_CHUNK: i64 = 1_000;
const FORGET_STEPS: usize = 50;

/// Forgets a chunk of old keys of one table. The next round does the remainder.
macro_rules! forget_creation_keys {
    ($table:literal) => {
        concat! {
            "/* forget_creation_keys */
             update ", $table, "
             set creation_key = null, creation_digest = null, creation_time = null
             where id in (
                 select id from ", $table, "
                 where creation_key is not null and creation_time < ?1 limit ?2
             )"
        }
    };
}

impl Sqlite {
    pub(super) async fn forget(&self) -> Result<()> {
        self.forget_deleted().await?;
        self.forget_keys().await?;
        self.forget_creation_keys().await
    }

    async fn forget_creation_keys(&self) -> Result<()> {
        for statement in [forget_creation_keys!("heroes"), forget_creation_keys!("meals")] {
            self.write(sqlx::query(statement).bind(old()).bind(FORGET_CHUNK)).await?;
        }
        Ok(())
    }

    /// Raises the low watermark to the lowest active order. A reader finds that order; the writer
    /// is used only if there is something to write.
    pub(super) async fn move_floor(&self) -> Result<()> {
        let rows = self.read(
            sqlx::query(concat! {
                "/* lowest_active */
                 select coalesce(
                     (select id from orders where id >= ?1 and ", active!(), " order by id limit 1),
                     (select seq + 1 from sqlite_sequence where name = 'orders'), 1) as floor"
            })
            .bind(self.low_watermark.get().get()),
        );
        for row in &rows.await? {
            let low_watermark: i64 = get(row, "floor")?;
            if low_watermark > self.low_watermark.get().get() {
                self.write(
                    sqlx::query("/* move_floor */ update watermark set floor = max(floor, ?1)")
                        .bind(low_watermark),
                )
                .await?;
                self.low_watermark.set(low_watermark);
            }
        }
        Ok(())
    }

    pub(super) fn is_forgetful(&self) -> bool {
        let mut forgotten = self.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
        let due = forgotten.is_none_or(|time| time.elapsed() >= FORGET_STEP);
        if due {
            *forgotten = Some(Instant::now());
        }
        due
    }

    async fn forget_deleted(&self) -> Result<()> {
        for _ in 0..FORGET_STEPS {
            let mut batch = self.begin().await?;
            let delete = sqlx::query(
                "/* forget_deleted */
                 delete from orders where id in (select id from orders where deleted_time < ?1 limit ?2) returning change",
            );
            let rows = batch.ask(delete.bind(old()).bind(FORGET_CHUNK)).await?;
            let changes =
                rows.iter().map(|row| get::<i64>(row, "change")).collect::<Result<Vec<_>, _>>()?;
            let Some(newest) = changes.into_iter().max() else { break };
            let mark = sqlx::query(
                "/* deletions_forgotten */ update watermark set forgotten = max(forgotten, ?1)",
            );
            batch.ask(mark.bind(newest)).await?;
            // Before the commit: a snapshot after it must know that deletions are missing.
            self.position.forget(newest);
            batch.commit().await?;
        }
        Ok(())
    }

    /// Clears idempotency keys by rising id up to the first order that is not old: each one once.
    async fn forget_keys(&self) -> Result<()> {
        for _ in 0..FORGET_STEPS {
            let rows = self.read(
                sqlx::query(
                    "/* old_keys */
                     with chunk as materialized (
                         select orders.id, order_time >= ?1 as young from orders
                         where orders.id >= (select key_floor from watermark) order by orders.id limit ?2
                     )
                     select max(id) as id from chunk
                     where id < coalesce((select min(id) from chunk where young), 9223372036854775807)",
                )
                .bind(old())
                .bind(FORGET_CHUNK),
            );
            let Some(newest) =
                rows.await?.first().map(|row| get::<Option<i64>>(row, "id")).transpose()?.flatten()
            else {
                break;
            };
            let clear = sqlx::query(
                "/* forget_keys */
                 update orders set key = null, key_scope = null
                 where id >= (select key_floor from watermark) and id <= ?1 and key is not null",
            );
            self.write(clear.bind(newest)).await?;
            self.write(
                sqlx::query("/* keys_forgotten */ update watermark set key_floor = ?1 + 1")
                    .bind(newest),
            )
            .await?;
        }
        Ok(())
    }
}

/// The time before which rows and keys are forgotten, in milliseconds since 1970.
pub(super) fn old() -> i64 {
    now() - i64::try_from(RETENTION.as_millis()).unwrap_or(i64::MAX)
}
