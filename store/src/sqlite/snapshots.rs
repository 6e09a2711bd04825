//! The initial states of sockets, read in batches.
//!
//! The position is read first, then active orders, then ended orders. An order that ends in between
//! is in both lists, never in neither.

use std::collections::HashMap;

use galley_protocol::{Hero, HeroId, Order, OrderId, ResumeCursor};

use super::Sqlite;
use super::rows::changed;
use super::statements::json;
use crate::Result;
use crate::codes::{active, ended};
use crate::row_values::{hero, hero_columns, limit, order, order_columns};
use crate::snapshot::{
    EndedSince, MAX_ACTIVE, MAX_RESUMED, MAX_SEARCHED, Snapshot, SnapshotRequest,
};

impl Sqlite {
    pub(super) async fn read_snapshots(
        &self,
        requests: &[SnapshotRequest],
    ) -> Result<Vec<Option<Snapshot>>> {
        let cursor = self.now()?;
        let heroes = self.snapshot_heroes(requests).await?;
        let begin = |request: &SnapshotRequest| {
            let hero = heroes.get(&request.hero_id.get())?;
            Some(Snapshot::new(hero.clone(), request, cursor))
        };
        let mut snapshots: Vec<Option<Snapshot>> = requests.iter().map(begin).collect();
        for (request, snapshot) in requests.iter().zip(&mut snapshots) {
            let Some(snapshot) = snapshot else { continue };
            let hero_id = request.hero_id;
            snapshot.add_active(self.snapshot_active(hero_id, cursor.low_watermark).await?);
            if let Some(since) = request.usable(cursor) {
                let ended = self.snapshot_ended(hero_id, since, cursor.low_watermark).await?;
                snapshot.resume(since, ended);
            }
        }
        Ok(snapshots)
    }

    async fn snapshot_heroes(&self, requests: &[SnapshotRequest]) -> Result<HashMap<i64, Hero>> {
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

    /// Reads the active orders of a hero, at most `MAX_ACTIVE + 1`.
    async fn snapshot_active(&self, hero_id: HeroId, low_watermark: OrderId) -> Result<Vec<Order>> {
        let rows = self.read(
            sqlx::query(concat! {
                "/* snapshot_active */
                 select ", order_columns!(), " from orders
                 where orders.hero_id = ?1 and orders.id >= ?2 and orders.", active!(), "
                 order by orders.id limit ?3 + 1"
            })
            .bind(hero_id.get())
            .bind(low_watermark.get())
            .bind(limit(MAX_ACTIVE)),
        );
        rows.await?.iter().map(order).collect()
    }

    /// Reads orders that ended or were deleted since the cursor, at most `MAX_RESUMED + 1`.
    async fn snapshot_ended(
        &self,
        hero_id: HeroId,
        since: ResumeCursor,
        low_watermark: OrderId,
    ) -> Result<EndedSince> {
        let from = since.low_watermark.min(low_watermark).get();
        if self.position.is_forgotten(since.position) {
            return Ok(EndedSince::Lost);
        }
        let reach = self.read(
            sqlx::query(
                "/* snapshot_reach */
                 select 1 from orders where hero_id = ?1 and id >= ?2 limit 1 offset ?3",
            )
            .bind(hero_id.get())
            .bind(from)
            .bind(limit(MAX_SEARCHED)),
        );
        if !reach.await?.is_empty() {
            return Ok(EndedSince::TooMany);
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
        Ok(if self.position.is_forgotten(since.position) {
            EndedSince::Lost
        } else {
            EndedSince::Read(ended)
        })
    }
}
