//! What a socket must know when it begins, for many sockets at once.
//!
//! Three statements, in this order: heroes and the time, orders, deleted orders. The time is older than what is read, and
//! an order deleted in between is in both lists, where its higher version tells.

use std::collections::HashMap;

use galley_protocol::{Deleted, Hero, OrderId, ResumeCursor, Timestamp, Version};
use sqlx::postgres::PgRow;
use time::OffsetDateTime;

use super::Postgres;
use super::rows::{get, hero, hero_columns, order, order_columns, parse, time};
use crate::requests::{Snapshot, SnapshotRequest};
use crate::{RESUME_MARGIN, StoreError};

impl Postgres {
    pub(super) async fn read_snapshots(&self, requests: &[SnapshotRequest]) -> Result<Vec<Option<Snapshot>>, StoreError> {
        let floor = self.floor.get();
        let (now, heroes) = self.snapshot_heroes(requests).await?;
        let mut snapshots: Vec<Option<Snapshot>> = requests
            .iter()
            .map(|request| {
                let hero = heroes.get(&request.hero_id.get())?.clone();
                let cursor = ResumeCursor { time: now, floor };
                Some(Snapshot { hero, orders: Vec::new(), deleted: Vec::new(), cursor })
            })
            .collect();
        for row in &self.snapshot_orders(requests, floor).await? {
            if let Some(snapshot) = nth(&mut snapshots, row)? {
                snapshot.orders.push(order(row)?);
            }
        }
        if requests.iter().any(|request| request.since.is_some()) {
            for row in &self.snapshot_deleted(requests).await? {
                if let Some(snapshot) = nth(&mut snapshots, row)? {
                    let deleted = Deleted { order_id: parse::<i64, _>(row, "id")?, version: Version(get(row, "version")?) };
                    snapshot.deleted.push(deleted);
                }
            }
        }
        Ok(snapshots)
    }

    async fn snapshot_heroes(&self, requests: &[SnapshotRequest]) -> Result<(Timestamp, HashMap<i64, Hero>), StoreError> {
        let ids: Vec<i64> = requests.iter().map(|request| request.hero_id.get()).collect();
        let rows = self.rows(|| {
            sqlx::query(concat!(
                "/* snapshot_heroes */
                 select date_trunc('milliseconds', now()) as moment, ",
                hero_columns!(),
                "
                 from (select) as always left join heroes on heroes.id = any($1) and heroes.deleted_time is null"
            ))
            .bind(&ids)
        });
        let rows = rows.await?;
        let first = rows.first().ok_or_else(|| StoreError::Failed("no time of the database".to_owned()))?;
        let now = time(first, "moment")?;
        let mut heroes = HashMap::new();
        for row in &rows {
            if let Some(id) = get::<Option<i64>>(row, "id")? {
                heroes.insert(id, hero(row)?);
            }
        }
        Ok((now, heroes))
    }

    async fn snapshot_orders(&self, requests: &[SnapshotRequest], floor: OrderId) -> Result<Vec<PgRow>, StoreError> {
        let (heroes, since) = columns(requests);
        let from = |request: &SnapshotRequest| request.since.map_or(floor, |since| since.floor.min(floor)).get();
        let from: Vec<i64> = requests.iter().map(from).collect();
        self.rows(|| {
            sqlx::query(concat!(
                "/* snapshot_orders */
                 select asked.n, orders.*
                 from unnest($1::bigint[], $2::timestamptz[], $3::bigint[]) with ordinality as asked(hero_id, since, from_id, n)
                 join lateral (
                     select ",
                order_columns!(),
                " from orders
                     where orders.hero_id = asked.hero_id and orders.id >= asked.from_id and orders.deleted_time is null
                       and (orders.status in (0, 1)
                            or greatest(orders.order_time, orders.started_time, orders.completed_time) >= asked.since)
                 ) as orders on true
                 order by asked.n, orders.id"
            ))
            .bind(&heroes)
            .bind(&since)
            .bind(&from)
        })
        .await
    }

    async fn snapshot_deleted(&self, requests: &[SnapshotRequest]) -> Result<Vec<PgRow>, StoreError> {
        let (heroes, since) = columns(requests);
        self.rows(|| {
            sqlx::query(
                "/* snapshot_deleted */
                 select asked.n, orders.id, orders.version
                 from unnest($1::bigint[], $2::timestamptz[]) with ordinality as asked(hero_id, since, n)
                 join orders on orders.hero_id = asked.hero_id and orders.deleted_time >= asked.since and orders.deleted_time is not null
                 order by asked.n, orders.id",
            )
            .bind(&heroes)
            .bind(&since)
        })
        .await
    }
}

fn columns(requests: &[SnapshotRequest]) -> (Vec<i64>, Vec<Option<OffsetDateTime>>) {
    let margin = i64::try_from(RESUME_MARGIN.as_millis()).unwrap_or(i64::MAX);
    let since = |request: &SnapshotRequest| request.since.map(|since| since.time.minus_millis(margin).into());
    requests.iter().map(|request| (request.hero_id.get(), since(request))).unzip()
}

/// The snapshot of the request that the row answers.
fn nth<'a>(snapshots: &'a mut [Option<Snapshot>], row: &PgRow) -> Result<Option<&'a mut Snapshot>, StoreError> {
    let n: i64 = get(row, "n")?;
    let index = usize::try_from(n - 1).ok();
    Ok(index.and_then(|index| snapshots.get_mut(index)).and_then(Option::as_mut))
}
