//! The initial states of sockets, read in batches.
//!
//! Three statements run in this order: heroes and the position, active orders, ended orders. The
//! position is thus older than everything that is read. An order that ends in between is in both
//! lists, never in neither.

use std::collections::HashMap;

use galley_protocol::{Hero, OrderId, ResumeCursor};
use sqlx::postgres::PgRow;

use super::Postgres;
use super::rows::{changed, changed_since, clock, first, index};
use crate::Result;
use crate::codes::{active, ended};
use crate::row_values::{get, hero, hero_columns, limit, order, order_columns};
use crate::snapshot::{
    EndedSince, MAX_ACTIVE, MAX_MESSAGES, MAX_REACH, MAX_RESUMED, MAX_SEARCHED, Snapshot,
    SnapshotRequest,
};

impl Postgres {
    pub(super) async fn read_snapshots(
        &self,
        requests: &[SnapshotRequest],
    ) -> Result<Vec<Option<Snapshot>>> {
        let low_watermark = self.low_watermark.get();
        let (cursor, heroes) = self.snapshot_heroes(requests).await?;
        let begin = |request: &SnapshotRequest| {
            let hero = heroes.get(&request.hero_id.get())?;
            Some(Snapshot::new(hero.clone(), request, cursor))
        };
        let mut snapshots: Vec<Option<Snapshot>> = requests.iter().map(begin).collect();
        let mut active = vec![Vec::new(); requests.len()];
        for row in &self.snapshot_active(requests, low_watermark).await? {
            if let Some(active) = active.get_mut(index(row)?) {
                active.push(order(row)?);
            }
        }
        for (snapshot, active) in snapshots.iter_mut().zip(active) {
            if let Some(snapshot) = snapshot {
                snapshot.add_active(active);
            }
        }
        let usable = |(at, request): (usize, &SnapshotRequest)| {
            Some((at, *request, request.usable(cursor)?))
        };
        let resuming: Vec<_> = requests.iter().enumerate().filter_map(usable).collect();
        let mut ended = vec![EndedSince::Read(Vec::new()); resuming.len()];
        for row in &self.snapshot_ended(&resuming, low_watermark).await? {
            let Some(ended) = ended.get_mut(index(row)?) else { continue };
            if get(row, "beyond_reach")? {
                *ended = EndedSince::Lost;
            } else if get(row, "too_many")? {
                *ended = EndedSince::TooMany;
            } else if let EndedSince::Read(read) = ended {
                read.extend(changed(row)?);
            }
        }
        for ((at, _, since), ended) in resuming.iter().zip(ended) {
            if let Some(snapshot) = &mut snapshots[*at] {
                snapshot.resume(*since, ended);
            }
        }
        Ok(snapshots)
    }

    async fn snapshot_heroes(
        &self,
        requests: &[SnapshotRequest],
    ) -> Result<(ResumeCursor, HashMap<i64, Hero>)> {
        // Read before the statement, whose snapshot must be newer: see [`super::settled`].
        let low_watermark = self.settled.get();
        let ids: Vec<i64> = requests.iter().map(|request| request.hero_id.get()).collect();
        let rows = self.read(|| {
            sqlx::query(concat! {
                "/* snapshot_heroes */
                 select ", clock!(), ", ", hero_columns!(), "
                 from (select) as always
                 left join heroes on heroes.id = any($1) and heroes.deleted_time is null"
            })
            .bind(&ids)
        });
        let rows = rows.await?;
        let cursor = self.cursor(first(&rows)?, low_watermark).await?;
        let mut heroes = HashMap::new();
        for row in &rows {
            if let Some(id) = get::<Option<i64>>(row, "id")? {
                heroes.insert(id, hero(row)?);
            }
        }
        Ok((cursor, heroes))
    }

    /// Reads the active orders, at most `MAX_ACTIVE + 1` for each request: any of them.
    async fn snapshot_active(
        &self,
        requests: &[SnapshotRequest],
        low_watermark: OrderId,
    ) -> Result<Vec<PgRow>> {
        let heroes: Vec<i64> = requests.iter().map(|request| request.hero_id.get()).collect();
        self.read(|| {
            sqlx::query(concat! {
                "/* snapshot_active */
                 select asked.n, active.*
                 from unnest($1::bigint[]) with ordinality as asked(hero_id, n)
                 cross join lateral (
                     select ", order_columns!(), " from orders
                     where orders.hero_id = asked.hero_id
                       and orders.id >= $2 and orders.", active!(), "
                     limit $3 + 1
                 ) as active
                 order by asked.n, active.id"
            })
            .bind(&heroes)
            .bind(low_watermark.get())
            .bind(limit(MAX_ACTIVE))
        })
        .await
    }

    /// Reads orders that ended or were deleted since the cursors, at most `MAX_RESUMED + 1` for
    /// each. `beyond_reach` is true for a cursor after which deletions were forgotten, or with too
    /// many deletions to search. `too_many` is true for one with too many orders to search, or with
    /// too long messages; then the row is one of them.
    async fn snapshot_ended(
        &self,
        resuming: &[(usize, SnapshotRequest, ResumeCursor)],
        low_watermark: OrderId,
    ) -> Result<Vec<PgRow>> {
        if resuming.is_empty() {
            return Ok(Vec::new());
        }
        let heroes: Vec<i64> =
            resuming.iter().map(|(_, request, _)| request.hero_id.get()).collect();
        let positions: Vec<i64> = resuming.iter().map(|(.., since)| since.position).collect();
        let from: Vec<i64> = resuming
            .iter()
            .map(|(.., since)| since.low_watermark.min(low_watermark).get())
            .collect();
        self.read(|| {
            sqlx::query(concat! {
                "/* snapshot_ended */
                 select asked.n, ended.*,
                     deletions.count > $5
                         or asked.position <= watermark.forgotten as beyond_reach,
                     reach.orders > $6 or coalesce(ended.bytes > $7, false) as too_many
                 from watermark, unnest($1::bigint[], $2::bigint[], $3::bigint[])
                     with ordinality as asked(hero_id, position, from_id, n)
                 cross join lateral (
                     select count(*) as orders from (
                         select from orders
                         where orders.hero_id = asked.hero_id and orders.id >= asked.from_id
                         limit $6 + 1
                     ) as reached
                 ) as reach
                 cross join lateral (
                     select count(*) as count from (
                         select from orders
                         where orders.hero_id = asked.hero_id and orders.deleted_time is not null
                         limit $5 + 1
                     ) as reached
                 ) as deletions
                 left join lateral (select * from (select ended.*, row_number() over () as nth,
                     sum(octet_length(ended.message)) over () as bytes from (
                     (select ", order_columns!(), ", false as deleted from orders
                      where reach.orders <= $6
                        and orders.hero_id = asked.hero_id and orders.id >= asked.from_id
                        and orders.", ended!(), " and orders.deleted_time is null
                        and ", changed_since!("asked.position"), "
                      limit $4 + 1)
                     union all
                     (select ", order_columns!(), ", true as deleted from orders
                      where deletions.count <= $5 and reach.orders <= $6
                        and orders.hero_id = asked.hero_id and orders.deleted_time is not null
                        and ", changed_since!("asked.position"), "
                      limit $4 + 1)
                     limit $4 + 1
                 ) as ended) as ended where ended.nth = 1 or coalesce(ended.bytes, 0) <= $7) as ended on true
                 order by asked.n, ended.id"
            })
            .bind(&heroes)
            .bind(&positions)
            .bind(&from)
            .bind(limit(MAX_RESUMED))
            .bind(limit(MAX_REACH))
            .bind(limit(MAX_SEARCHED))
            .bind(limit(MAX_MESSAGES))
        })
        .await
    }
}
