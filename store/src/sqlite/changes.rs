//! What changed since a cursor. One statement a request reads orders and deletions, so that each
//! order is in one of both; the position is taken first.
//!
//! Orders are found from the floor of the cursor on by their id, deletions by indexes of their own:
//! the floor of a cursor says nothing about what may still be deleted. The statements name them:
//! else the planner walks the orders by their id, all of them, in the hope of meeting enough
//! deletions.

use galley_protocol::{OrderId, ResumeCursor, Timestamp};
use sqlx::sqlite::SqliteRow;

use super::Sqlite;
use super::session::{json, now};
use crate::StoreError;
use crate::changes::{CHANGES_PAGE, Changed, Changes, ChangesOfAll, ChangesRequest, States};
use crate::rows::{get, order, order_columns};

impl Sqlite {
    pub(super) async fn read_changes(
        &self,
        requests: &[ChangesRequest],
    ) -> Result<Vec<Changes>, StoreError> {
        let cursor = self.now()?;
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            let rows = self.read(
                sqlx::query(concat!(
                    "/* changes */
                     select * from (
                         select ",
                    order_columns!(),
                    ", false as deleted from orders
                         where orders.hero_id = ?1 and orders.id >= ?2 and orders.deleted_time is null
                           and orders.change >= ?4
                         order by orders.id limit ?5
                     )
                     union all
                     select * from (
                         select ",
                    order_columns!(),
                    ", true as deleted from orders indexed by orders_deleted
                         where orders.hero_id = ?1 and orders.id > ?3 and orders.change >= ?4 and orders.deleted_time is not null
                         order by orders.id limit ?5
                     )
                     order by id limit ?5"
                ))
                .bind(request.hero_id.get())
                .bind(request.from(cursor.floor))
                .bind(request.after.map_or(0, i64::from))
                .bind(request.since.position)
                .bind(limit(CHANGES_PAGE + 1)),
            );
            let read = rows.await?.iter().map(changed).collect::<Result<Vec<_>, _>>()?;
            answers.push(Changes::page(read, cursor));
        }
        Ok(answers)
    }

    pub(super) async fn read_states(
        &self,
        lists: &[Vec<OrderId>],
    ) -> Result<Vec<States>, StoreError> {
        let mut answers = Vec::with_capacity(lists.len());
        for list in lists {
            let rows = self.read(
                sqlx::query(concat!(
                    "/* states */
                     select ",
                    order_columns!(),
                    ", orders.deleted_time is not null as deleted
                     from orders where orders.id in (select value from json_each(?1)) order by orders.id"
                ))
                .bind(json(list)),
            );
            answers
                .push(States::new(rows.await?.iter().map(changed).collect::<Result<Vec<_>, _>>()?));
        }
        Ok(answers)
    }

    pub(super) async fn read_changes_of_all(
        &self,
        since: ResumeCursor,
        before: Option<OrderId>,
        at_most: usize,
    ) -> Result<ChangesOfAll, StoreError> {
        let cursor = self.now()?;
        let rows = self.read(
            sqlx::query(concat!(
                "/* changes_of_all */
                 select * from (
                     select ",
                order_columns!(),
                ", false as deleted from orders
                     where orders.id >= ?1 and orders.id < ?4 and orders.deleted_time is null and orders.change >= ?2
                     order by orders.id desc limit ?3
                 )
                 union all
                 select * from (
                     select ",
                order_columns!(),
                ", true as deleted from orders indexed by orders_deleted_by_change
                     where orders.change >= ?2 and orders.id < ?4 and orders.deleted_time is not null
                     order by orders.id desc limit ?3
                 )
                 order by id desc limit ?3"
            ))
            .bind(since.floor.min(cursor.floor).get())
            .bind(since.position)
            .bind(limit(at_most))
            .bind(before.map_or(i64::MAX, OrderId::get)),
        );
        let read = rows.await?.iter().map(changed).collect::<Result<Vec<_>, _>>()?;
        Ok(ChangesOfAll::new(read, cursor))
    }

    /// The cursor of what is read from now on.
    pub(super) fn now(&self) -> Result<ResumeCursor, StoreError> {
        // Every order below the floor has had its last change before the position that is read
        // after it.
        let floor = self.floor.get();
        let position = self.position.get();
        let time =
            Timestamp::from_millis(now()).map_err(|error| StoreError::Failed(error.to_string()))?;
        Ok(ResumeCursor { time, floor, position })
    }
}

pub(super) fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn changed(row: &SqliteRow) -> Result<Changed, StoreError> {
    Ok(Changed::of(order(row)?, get(row, "deleted")?))
}
