//! Cancels orders at a hero's request: one guarded statement cancels what can be cancelled, a
//! second one reads the others.

use galley_protocol::{CancelOrder, OfHero, Reason};

use super::rows::moment;
use super::{Postgres, verdicts};
use crate::StoreError;
use crate::requests::CancelVerdict;
use crate::rows::{order, order_columns};
use crate::verdict::against_cancel;

impl Postgres {
    pub(super) async fn cancel_orders(
        &self,
        requests: &[OfHero<CancelOrder>],
    ) -> Result<Vec<CancelVerdict>, StoreError> {
        self.decide(
            requests,
            |store, asked| Box::pin(store.update_cancelled(asked)),
            |store, asked| Box::pin(store.against_cancel(asked)),
        )
        .await
    }

    /// Carries out the first fitting request for each order.
    async fn update_cancelled(
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
            sqlx::query(concat!(
                "/* cancel_orders */
                 with locked as materialized (
                     select id, hero_id, version from orders where id = any($1) and status in (0, 1) order by id for update
                 ), winners as materialized (
                     select distinct on (locked.id) locked.id, asked.n, coalesce(asked.message, $5) as message
                     from unnest($1::bigint[], $2::bigint[], $3::text[], $4::int[])
                         with ordinality as asked(id, hero_id, message, expected, n)
                     join locked on locked.id = asked.id
                         and locked.hero_id = coalesce(asked.hero_id, locked.hero_id)
                         and locked.version = coalesce(asked.expected, locked.version)
                     order by locked.id, asked.n
                 )
                 update orders set status = 3, reason = $6, message = winners.message, version = orders.version + 1,
                     completed_time = greatest(",
                moment!(),
                ", started_time, order_time), owner = null, due_at = null
                 from winners where orders.id = winners.id and orders.status in (0, 1)
                 returning winners.n, ",
                order_columns!()
            ))
            .bind(&ids)
            .bind(&heroes)
            .bind(&messages)
            .bind(&expected)
            .bind(Reason::HeroRequest.message())
            .bind(Reason::HeroRequest.code())
        });
        verdicts(&rows.await?, asked.len(), |row| order(row).map(CancelVerdict::Cancelled))
    }

    async fn against_cancel(
        &self,
        asked: &[&OfHero<CancelOrder>],
    ) -> Result<Vec<Option<CancelVerdict>>, StoreError> {
        let found = self.orders_by_id(asked.iter().map(|request| request.command.order_id)).await?;
        Ok(asked
            .iter()
            .map(|request| against_cancel(request, found.get(&request.command.order_id)))
            .collect())
    }
}
