//! What a socket must know when it begins, for many sockets at once.
//!
//! The time is taken first, then orders are read, then deleted ones: an order deleted in between is in both lists, where its
//! higher version tells.

use std::collections::HashMap;

use galley_protocol::{Deleted, Hero, OrderId, ResumeCursor, Timestamp, Version};
use sqlx::sqlite::SqliteRow;

use super::Sqlite;
use super::rows::{get, hero, hero_columns, order, order_columns, parse};
use super::session::{json, now};
use crate::requests::{Snapshot, SnapshotRequest};
use crate::{RESUME_MARGIN, StoreError};

impl Sqlite {
    pub(super) async fn read_snapshots(&self, requests: &[SnapshotRequest]) -> Result<Vec<Option<Snapshot>>, StoreError> {
        let floor = self.floor.get();
        let time = Timestamp::from_millis(now()).map_err(|error| StoreError::Failed(error.to_string()))?;
        let heroes = self.snapshot_heroes(requests).await?;
        let mut snapshots: Vec<Option<Snapshot>> = requests
            .iter()
            .map(|request| {
                let hero = heroes.get(&request.hero_id.get())?.clone();
                let cursor = ResumeCursor { time, floor };
                Some(Snapshot { hero, orders: Vec::new(), deleted: Vec::new(), cursor })
            })
            .collect();
        let asked = asked(requests, floor);
        for row in &self.snapshot_orders(&asked).await? {
            if let Some(snapshot) = nth(&mut snapshots, row)? {
                snapshot.orders.push(order(row)?);
            }
        }
        if requests.iter().any(|request| request.since.is_some()) {
            for row in &self.snapshot_deleted(&asked).await? {
                if let Some(snapshot) = nth(&mut snapshots, row)? {
                    let deleted = Deleted { order_id: parse::<i64, _>(row, "id")?, version: Version(get(row, "version")?) };
                    snapshot.deleted.push(deleted);
                }
            }
        }
        Ok(snapshots)
    }

    async fn snapshot_heroes(&self, requests: &[SnapshotRequest]) -> Result<HashMap<i64, Hero>, StoreError> {
        let ids: Vec<i64> = requests.iter().map(|request| request.hero_id.get()).collect();
        let rows = self.read(
            sqlx::query(concat!(
                "/* snapshot_heroes */ select ",
                hero_columns!(),
                "
                 from heroes where id in (select value from json_each(?1)) and deleted_time is null"
            ))
            .bind(json(&ids)),
        );
        rows.await?.iter().map(|row| hero(row).map(|hero| (hero.id.get(), hero))).collect()
    }

    async fn snapshot_orders(&self, asked: &str) -> Result<Vec<SqliteRow>, StoreError> {
        self.read(
            sqlx::query(concat!(
                "/* snapshot_orders */
                 select asked.key as n, ",
                order_columns!(),
                " from json_each(?1) as asked
                 join orders on orders.hero_id = asked.value ->> 0 and orders.id >= asked.value ->> 2
                 where orders.deleted_time is null
                   and (orders.status in (0, 1)
                        or coalesce(orders.completed_time, orders.started_time, orders.order_time) >= asked.value ->> 1)
                 order by asked.key, orders.id"
            ))
            .bind(asked),
        )
        .await
    }

    async fn snapshot_deleted(&self, asked: &str) -> Result<Vec<SqliteRow>, StoreError> {
        self.read(
            sqlx::query(
                "/* snapshot_deleted */
                 select asked.key as n, orders.id, orders.version from json_each(?1) as asked
                 join orders on orders.hero_id = asked.value ->> 0 and orders.deleted_time >= asked.value ->> 1
                 where orders.deleted_time is not null
                 order by asked.key, orders.id",
            )
            .bind(asked),
        )
        .await
    }
}

/// Hero, time and floor of each request.
fn asked(requests: &[SnapshotRequest], floor: OrderId) -> String {
    let margin = i64::try_from(RESUME_MARGIN.as_millis()).unwrap_or(i64::MAX);
    let row = |request: &SnapshotRequest| {
        let since = request.since.map(|since| since.time.minus_millis(margin).millis());
        let from = request.since.map_or(floor, |since| since.floor.min(floor));
        (request.hero_id, since, from)
    };
    json(&requests.iter().map(row).collect::<Vec<_>>())
}

/// The snapshot of the request that the row answers.
fn nth<'a>(snapshots: &'a mut [Option<Snapshot>], row: &SqliteRow) -> Result<Option<&'a mut Snapshot>, StoreError> {
    let index = usize::try_from(get::<i64>(row, "n")?).ok();
    Ok(index.and_then(|index| snapshots.get_mut(index)).and_then(Option::as_mut))
}
