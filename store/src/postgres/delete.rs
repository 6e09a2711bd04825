//! Deletes ended orders. A deletion marks the row and raises its version, so that sockets receive
//! it. The same statement subtracts counted orders from the [`tally`](super::tally).

use galley_protocol::{DeleteOrder, Deleted, OfHero, Version};
use sqlx::postgres::PgRow;

use super::Postgres;
use super::rows::{moment, verdicts};
use crate::StoreError;
use crate::codes::{cancelled, completed, ended};
use crate::requests::DeleteVerdict;
use crate::row_values::{get, parse, time};

impl Postgres {
    /// Deletes each order for the first request that matches it.
    pub(super) async fn delete_orders(
        &self,
        asked: &[&OfHero<DeleteOrder>],
    ) -> Result<Vec<Option<DeleteVerdict>>, StoreError> {
        let ids: Vec<i64> = asked.iter().map(|request| request.command.order_id.get()).collect();
        let heroes: Vec<Option<i64>> =
            asked.iter().map(|request| request.hero_id.map(i64::from)).collect();
        let expected: Vec<Option<i32>> =
            asked.iter().map(|request| request.command.expected.map(|version| version.0)).collect();
        let rows = self.change(|| {
            sqlx::query(concat! {
                "/* delete_orders */
                 with locked as materialized (
                     select id, hero_id, status, version from orders
                     where id = any($1) and ", ended!(), " and deleted_time is null
                     order by id for update
                 ), winners as materialized (
                     select distinct on (locked.id) locked.id, locked.status, asked.n
                     from unnest($1::bigint[], $2::bigint[], $3::int[])
                         with ordinality as asked(id, hero_id, expected, n)
                     join locked on locked.id = asked.id
                         and locked.hero_id = coalesce(asked.hero_id, locked.hero_id)
                         and locked.version = coalesce(asked.expected, locked.version)
                     order by locked.id, asked.n
                 ), mark as materialized (
                     select below from tally where exists (select from winners) for update
                 ), lost as materialized (
                     select
                         count(*) filter (where winners.status = ", completed!(), ") as completed,
                         count(*) filter (where winners.status = ", cancelled!(), ") as cancelled
                     from winners, mark where winners.id < mark.below
                 ), subtracted as (
                     update tally set completed = tally.completed - lost.completed,
                         cancelled = tally.cancelled - lost.cancelled
                     from lost where lost.completed + lost.cancelled > 0
                 )
                 update orders set deleted_time = greatest(", moment!(), ", completed_time),
                     version = orders.version + 1
                 from winners where orders.id = winners.id and orders.deleted_time is null
                 returning winners.n,
                     orders.id, orders.hero_id, orders.version, orders.deleted_time"
            })
            .bind(&ids)
            .bind(&heroes)
            .bind(&expected)
        });
        verdicts(&rows.await?, asked.len(), deleted)
    }
}

fn deleted(row: &PgRow) -> Result<DeleteVerdict, StoreError> {
    Ok(DeleteVerdict::Deleted {
        deleted: Deleted {
            order_id: parse::<i64, _>(row, "id")?,
            version: Version(get(row, "version")?),
        },
        hero_id: parse::<i64, _>(row, "hero_id")?,
        time: time(row, "deleted_time")?,
    })
}
