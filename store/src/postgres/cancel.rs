//! Cancels orders at a hero's request: one guarded statement cancels what can be cancelled, a second one reads the others.

use std::collections::HashMap;

use galley_protocol::{Order, Reason};

use super::rows::moment;
use super::{Postgres, SETTLE_TRIES, index, undecided, unsettled};
use crate::StoreError;
use crate::requests::{CancelRequest, CancelVerdict};
use crate::rows::{get, order, order_columns};
use crate::verdict::against_cancel;

impl Postgres {
    /// Tries again what the first statement could not cancel and the second one found free: somebody else was in between.
    pub(super) async fn cancel_orders(&self, requests: &[CancelRequest]) -> Result<Vec<CancelVerdict>, StoreError> {
        let mut verdicts: Vec<Option<CancelVerdict>> = vec![None; requests.len()];
        for _ in 0..SETTLE_TRIES {
            let open = undecided(&verdicts);
            if open.is_empty() {
                break;
            }
            let asked: Vec<&CancelRequest> = open.iter().map(|&index| &requests[index]).collect();
            for (n, order) in self.update_cancelled(&asked).await? {
                verdicts[open[n]] = Some(CancelVerdict::Cancelled(order));
            }
            let rest = undecided(&verdicts);
            if rest.is_empty() {
                break;
            }
            let found = self.orders_by_id(rest.iter().map(|&index| requests[index].order_id)).await?;
            for index in rest {
                let request = &requests[index];
                verdicts[index] = against_cancel(request, found.get(&request.order_id));
            }
        }
        verdicts.into_iter().map(|verdict| verdict.ok_or_else(unsettled)).collect()
    }

    /// Of the requests for one order the first that fits wins.
    async fn update_cancelled(&self, asked: &[&CancelRequest]) -> Result<HashMap<usize, Order>, StoreError> {
        let ids: Vec<i64> = asked.iter().map(|request| request.order_id.get()).collect();
        let heroes: Vec<Option<i64>> = asked.iter().map(|request| request.hero_id.map(i64::from)).collect();
        let message = |request: &&CancelRequest| request.message.as_ref().map(|text| text.as_str().to_owned());
        let messages: Vec<Option<String>> = asked.iter().map(message).collect();
        let expected: Vec<Option<i32>> = asked.iter().map(|request| request.expected.map(|version| version.0)).collect();
        let rows = self.rows(|| {
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
        rows.await?.iter().map(|row| Ok((index(get(row, "n")?)?, order(row)?))).collect()
    }
}
