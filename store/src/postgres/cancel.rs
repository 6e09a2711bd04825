//! Cancels orders at a hero's request.

use galley_protocol::{CancelOrder, OfHero, Reason};

use super::Postgres;
use super::rows::{moment, verdicts};
use crate::StoreError;
use crate::codes::{active, cancelled, hero_request};
use crate::requests::CancelVerdict;
use crate::row_values::{order, order_columns};

impl Postgres {
    /// Cancels each order for the first request that matches it.
    pub(super) async fn cancel_orders(
        &self,
        asked: &[&OfHero<CancelOrder>],
    ) -> Result<Vec<Option<CancelVerdict>>, StoreError> {
        let ids: Vec<i64> = asked.iter().map(|request| request.command.order_id.get()).collect();
        let heroes: Vec<Option<i64>> =
            asked.iter().map(|request| request.hero_id.map(i64::from)).collect();
        let message = |request: &&OfHero<CancelOrder>| {
            request.command.reason.as_ref().map(|text| text.as_str().to_owned())
        };
        let messages: Vec<Option<String>> = asked.iter().map(message).collect();
        let expected: Vec<Option<i32>> =
            asked.iter().map(|request| request.command.expected.map(|version| version.0)).collect();
        let rows = self.change(|| {
            sqlx::query(concat! {
                "/* cancel_orders */
                 with locked as materialized (
                     select id, hero_id, version from orders
                     where id = any($1) and ", active!(), " order by id for update
                 ), winners as materialized (
                     select distinct on (locked.id) locked.id, asked.n,
                         coalesce(asked.message, $5) as message
                     from unnest($1::bigint[], $2::bigint[], $3::text[], $4::int[])
                         with ordinality as asked(id, hero_id, message, expected, n)
                     join locked on locked.id = asked.id
                         and locked.hero_id = coalesce(asked.hero_id, locked.hero_id)
                         and locked.version = coalesce(asked.expected, locked.version)
                     order by locked.id, asked.n
                 )
                 update orders set status = ", cancelled!(), ", reason = ", hero_request!(), ",
                     message = winners.message, version = orders.version + 1,
                     completed_time = greatest(", moment!(), ", started_time, order_time),
                     owner = null, due_at = null
                 from winners where orders.id = winners.id and orders.", active!(), "
                 returning winners.n, ", order_columns!()
            })
            .bind(&ids)
            .bind(&heroes)
            .bind(&messages)
            .bind(&expected)
            .bind(Reason::HeroRequest.message())
        });
        verdicts(&rows.await?, asked.len(), |row| order(row).map(CancelVerdict::Cancelled))
    }
}
