//! What changed since a cursor. One statement reads orders and deletions, so that each order is in
//! one of both, and the position of its own snapshot.
//!
//! A row tells by its `xmin` which transaction wrote it last. That is the order of commits that
//! counts: times are stamped before a commit, by a clock that may be set, and an update of a column
//! of our own would be no cheaper.
//!
//! Orders are found from the floor of the cursor on by their id, deletions by indexes of their own:
//! the floor of a cursor says nothing about what may still be deleted. Deletions are materialized
//! before anything is asked of their ids: else the planner walks all orders by their id, in the
//! hope of meeting enough deletions.

use galley_protocol::{OrderId, ResumeCursor};
use sqlx::postgres::PgRow;

use super::rows::{changed_since, clock};
use super::{Postgres, index};
use crate::StoreError;
use crate::changes::{CHANGES_PAGE, Changed, Changes, ChangesOfAll, ChangesRequest, States};
use crate::rows::{get, order, order_columns, time};
use crate::snapshot::MAX_REACH;

impl Postgres {
    /// The cursor of this moment.
    pub(super) async fn read_present(&self) -> Result<ResumeCursor, StoreError> {
        let floor = self.settled.get();
        let rows = self.rows(|| sqlx::query(concat!("/* present */ select ", clock!())));
        let rows = rows.await?;
        self.cursor(first(&rows)?, floor).await
    }

    pub(super) async fn read_changes(
        &self,
        requests: &[ChangesRequest],
    ) -> Result<Vec<Changes>, StoreError> {
        let floor = self.settled.get();
        let heroes: Vec<i64> = requests.iter().map(|request| request.hero_id.get()).collect();
        let positions: Vec<i64> = requests.iter().map(|request| request.since.position).collect();
        let from: Vec<i64> = requests.iter().map(|request| request.from(floor)).collect();
        let after: Vec<i64> =
            requests.iter().map(|request| request.after.map_or(0, i64::from)).collect();
        let rows = self.rows(|| {
            sqlx::query(concat!(
                "/* changes */
                 select asked.n, ",
                clock!(),
                ", changed.*
                 from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
                     with ordinality as asked(hero_id, since, from_id, after, n)
                 left join lateral (
                     (select ",
                order_columns!(),
                ", false as deleted from orders
                      where orders.hero_id = asked.hero_id and orders.id >= asked.from_id and orders.deleted_time is null
                        and ",
                changed_since!("asked.since"),
                "
                      order by orders.id limit $5)
                     union all
                     (with gone as materialized (
                          select ",
                order_columns!(),
                ", true as deleted from orders
                          where orders.hero_id = asked.hero_id and orders.deleted_time is not null and ",
                changed_since!("asked.since"),
                "
                      ) select * from gone where id > asked.after order by id limit $5)
                     order by id limit $5
                 ) as changed on true
                 order by asked.n, changed.id"
            ))
            .bind(&heroes)
            .bind(&positions)
            .bind(&from)
            .bind(&after)
            .bind(limit(CHANGES_PAGE + 1))
        });
        let rows = rows.await?;
        let Some(first) = rows.first() else { return Ok(Vec::new()) };
        let cursor = self.cursor(first, floor).await?;
        let read = by_number(&rows, requests.len())?;
        Ok(read.into_iter().map(|read| Changes::page(read, cursor)).collect())
    }

    pub(super) async fn read_states(
        &self,
        lists: &[Vec<OrderId>],
    ) -> Result<Vec<States>, StoreError> {
        let asked = || {
            lists.iter().zip(1_i64..).flat_map(|(list, n)| list.iter().map(move |id| (n, id.get())))
        };
        let (numbers, ids): (Vec<i64>, Vec<i64>) = asked().unzip();
        let rows = self.rows(|| {
            sqlx::query(concat!(
                "/* states */
                 select asked.n, ",
                order_columns!(),
                ", orders.deleted_time is not null as deleted
                 from unnest($1::bigint[], $2::bigint[]) as asked(n, id) join orders on orders.id = asked.id
                 order by asked.n, orders.id"
            ))
            .bind(&numbers)
            .bind(&ids)
        });
        let read = by_number(&rows.await?, lists.len())?;
        Ok(read.into_iter().map(States::new).collect())
    }

    pub(super) async fn read_changes_of_all(
        &self,
        since: ResumeCursor,
        before: Option<OrderId>,
        at_most: usize,
    ) -> Result<ChangesOfAll, StoreError> {
        let floor = self.settled.get();
        let rows = self.rows(|| {
            sqlx::query(concat!(
                "/* changes_of_all */
                 select clock.*, changed.*
                 from (select ",
                clock!(),
                ") as clock
                 left join (
                     (select ",
                order_columns!(),
                ", false as deleted from orders
                      where orders.id >= $1 and orders.id < $5 and orders.deleted_time is null and ",
                changed_since!("$2"),
                "
                      order by orders.id desc limit $3)
                     union all
                     (with gone as materialized (
                          select ",
                order_columns!(),
                ", true as deleted from (
                              select orders.*, orders.xmin from orders
                              where orders.deleted_time is not null order by orders.deleted_time desc limit $4
                          ) as orders where ",
                changed_since!("$2"),
                "
                      ) select * from gone where id < $5 order by id desc limit $3)
                     order by id desc limit $3
                 ) as changed on true
                 order by changed.id desc"
            ))
            .bind(since.floor.min(floor).get())
            .bind(since.position)
            .bind(limit(at_most))
            .bind(limit(MAX_REACH))
            .bind(before.map_or(i64::MAX, OrderId::get))
        });
        let rows = rows.await?;
        let cursor = self.cursor(first(&rows)?, floor).await?;
        let read = rows
            .iter()
            .filter_map(|row| changed(row).transpose())
            .collect::<Result<Vec<_>, _>>()?;
        Ok(ChangesOfAll::new(read, cursor))
    }

    /// The cursor of the snapshot that read this row; the floor was known before. Reads the key of
    /// cursors first if the snapshot saw another epoch than this process knows: a position of that
    /// epoch must not be signed with an earlier key.
    pub(super) async fn cursor(
        &self,
        row: &PgRow,
        floor: OrderId,
    ) -> Result<ResumeCursor, StoreError> {
        let epoch = get::<Option<i64>>(row, "epoch")?;
        if epoch != Some(self.cursor_keys.newest().into()) {
            self.check_epoch().await?;
        }
        Ok(ResumeCursor { time: time(row, "moment")?, floor, position: get(row, "position")? })
    }
}

/// The first row of a statement that has one at least.
pub(super) fn first(rows: &[PgRow]) -> Result<&PgRow, StoreError> {
    rows.first().ok_or_else(|| StoreError::Failed("no time of the database".to_owned()))
}

pub(super) fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Groups rows by the number `n` of their request.
fn by_number(rows: &[PgRow], requests: usize) -> Result<Vec<Vec<Changed>>, StoreError> {
    let mut read = vec![Vec::new(); requests];
    for row in rows {
        if let Some(read) = read.get_mut(index(row)?) {
            read.extend(changed(row)?);
        }
    }
    Ok(read)
}

/// Nothing for the row of a request that has no changes.
pub(super) fn changed(row: &PgRow) -> Result<Option<Changed>, StoreError> {
    match get::<Option<bool>>(row, "deleted")? {
        Some(deleted) => Ok(Some(Changed::of(order(row)?, deleted))),
        None => Ok(None),
    }
}
