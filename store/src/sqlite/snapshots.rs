//! The initial states of sockets, read in batches.
//!
//! The position is read first, then active orders, then ended orders. An order that ends in between
//! is in both lists, never in neither.

use std::collections::HashMap;

use galley_protocol::{Hero, HeroId, OrderId, ResumeCursor};
use sqlx::sqlite::SqliteRow;

use super::Sqlite;
use super::rows::changed;
use super::statements::json;
use crate::StoreError;
use crate::change_pages::ChangedRow;
use crate::codes::{active, ended};
use crate::row_values::{get, hero, hero_columns, limit, order, order_columns};
use crate::snapshot::{MAX_REACH, MAX_RESUMED, Snapshot, SnapshotRequest};

impl Sqlite {
    pub(super) async fn read_snapshots(
        &self,
        requests: &[SnapshotRequest],
    ) -> Result<Vec<Option<Snapshot>>, StoreError> {
        let cursor = self.now()?;
        let heroes = self.snapshot_heroes(requests).await?;
        let begin = |request: &SnapshotRequest| {
            let hero = heroes.get(&request.hero_id.get())?;
            Some(Snapshot::new(hero.clone(), request, cursor))
        };
        let mut snapshots: Vec<Option<Snapshot>> = requests.iter().map(begin).collect();
        for row in &self.snapshot_active(requests, cursor.low_watermark).await? {
            let at = usize::try_from(get::<i64>(row, "n")?).ok();
            if let Some(Some(snapshot)) = at.and_then(|at| snapshots.get_mut(at)) {
                snapshot.orders.push(order(row)?);
            }
        }
        for (request, snapshot) in requests.iter().zip(&mut snapshots) {
            if let (Some(snapshot), Some(since)) = (snapshot, request.usable(cursor))
                && let Some(read) =
                    self.snapshot_ended(request.hero_id, since, cursor.low_watermark).await?
            {
                snapshot.resume(since, read);
            }
        }
        Ok(snapshots)
    }

    async fn snapshot_heroes(
        &self,
        requests: &[SnapshotRequest],
    ) -> Result<HashMap<i64, Hero>, StoreError> {
        let ids: Vec<i64> = requests.iter().map(|request| request.hero_id.get()).collect();
        let rows = self.read(
            sqlx::query(concat! {
                "/* snapshot_heroes */ select ", hero_columns!(), " from heroes
                 where id in (select value from json_each(?1)) and deleted_time is null"
            })
            .bind(json(&ids)),
        );
        rows.await?.iter().map(|row| hero(row).map(|hero| (hero.id.get(), hero))).collect()
    }

    async fn snapshot_active(
        &self,
        requests: &[SnapshotRequest],
        low_watermark: OrderId,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let heroes: Vec<HeroId> = requests.iter().map(|request| request.hero_id).collect();
        self.read(
            sqlx::query(concat! {
                "/* snapshot_active */
                 select asked.key as n, ", order_columns!(), "
                 from json_each(?1) as asked
                 join orders on orders.hero_id = asked.value
                     and orders.id >= ?2 and orders.", active!(), "
                 order by asked.key, orders.id"
            })
            .bind(json(&heroes))
            .bind(low_watermark.get()),
        )
        .await
    }

    /// Reads orders that ended or were deleted since the cursor, at most `MAX_RESUMED + 1`. Returns
    /// `None` if the cursor's low watermark is too far back, or deletions after it were forgotten.
    async fn snapshot_ended(
        &self,
        hero_id: HeroId,
        since: ResumeCursor,
        low_watermark: OrderId,
    ) -> Result<Option<Vec<ChangedRow>>, StoreError> {
        let from = since.low_watermark.min(low_watermark).get();
        let reach = self.read(
            sqlx::query(
                "/* snapshot_reach */
                 select 1 from orders where hero_id = ?1 and id >= ?2 limit 1 offset ?3",
            )
            .bind(hero_id.get())
            .bind(from)
            .bind(limit(MAX_REACH)),
        );
        if !reach.await?.is_empty() {
            return Ok(None);
        }
        let rows = self.read(
            sqlx::query(concat! {
                "/* snapshot_ended */
                 select * from (
                     select ", order_columns!(), ", false as deleted from orders
                     where orders.hero_id = ?1 and orders.id >= ?2 and orders.", ended!(), "
                       and orders.deleted_time is null and orders.change >= ?3
                     limit ?4 + 1
                 )
                 union all
                 select * from (
                     select ", order_columns!(), ", true as deleted
                     from orders indexed by orders_deleted
                     where orders.hero_id = ?1 and orders.change >= ?3
                       and orders.deleted_time is not null
                     limit ?4 + 1
                 )
                 order by id limit ?4 + 1"
            })
            .bind(hero_id.get())
            .bind(from)
            .bind(since.position)
            .bind(limit(MAX_RESUMED)),
        );
        let ended = rows.await?.iter().map(changed).collect::<Result<_, _>>()?;
        // Checked after the read: forgetting raises this number before it commits.
        Ok((!self.position.is_forgotten(since.position)).then_some(ended))
    }
}
