//! The end of an order that went well, and of its owner's care.

use galley_protocol::{IncarnationId, Order, OrderId};

use super::Postgres;
use super::rows::moment;
use crate::StoreError;
use crate::rows::{order, order_columns};

/// How many orders one statement hands back, so that it ends well before its time-out.
const HAND_BACK_CHUNK: usize = 5_000;

impl Postgres {
    pub(super) async fn complete_orders(
        &self,
        owner: IncarnationId,
        ids: &[OrderId],
    ) -> Result<Vec<Order>, StoreError> {
        let ids: Vec<i64> = ids.iter().map(|id| id.get()).collect();
        let rows = self.change(|| {
            sqlx::query(concat!(
                "/* complete_orders */
                 with locked as materialized (
                     select id from orders where id = any($1) and status = 1 and owner = $2 order by id for update
                 )
                 update orders set status = 2, version = version + 1, completed_time = greatest(",
                moment!(),
                ", started_time),
                     owner = null, due_at = null
                 from locked where orders.id = locked.id and orders.status = 1 and orders.owner = $2
                 returning ",
                order_columns!()
            ))
            .bind(&ids)
            .bind(owner.get())
        });
        rows.await?.iter().map(order).collect()
    }

    pub(super) async fn release_orders(&self, owner: IncarnationId) -> Result<u64, StoreError> {
        // An order that such a statement takes would be seen after this, and handed back by nobody.
        if self.backends.is_unsettled() {
            return Err(StoreError::Unavailable(
                "the outcome of a statement is not known yet".to_owned(),
            ));
        }
        let mut released = 0;
        loop {
            let rows = self.change(|| {
                sqlx::query(
                    "/* hand_back_orders */
                     with locked as materialized (
                         select id from orders where id >= $1 and status = 1 and owner = $2 order by id limit $3 for update
                     )
                     update orders set owner = null from locked where orders.id = locked.id and orders.owner = $2
                     returning orders.id",
                )
                .bind(self.floor.get().get())
                .bind(owner.get())
                .bind(i64::try_from(HAND_BACK_CHUNK).unwrap_or(i64::MAX))
            });
            let chunk = rows.await?.len();
            released += chunk as u64;
            if chunk < HAND_BACK_CHUNK {
                return Ok(released);
            }
        }
    }
}
