//! The end of an order that went well, and of its owner's care.

use galley_protocol::{IncarnationId, Order, OrderId};

use super::Sqlite;
use super::session::{json, next_change, now};
use crate::StoreError;
use crate::rows::{order, order_columns};

impl Sqlite {
    pub(super) async fn complete_orders(
        &self,
        owner: IncarnationId,
        ids: &[OrderId],
    ) -> Result<Vec<Order>, StoreError> {
        let ask = sqlx::query(concat!(
            "/* complete_orders */
             update orders set status = 2, version = version + 1, completed_time = max(?3, started_time), owner = null, due_at = null,
                 change = ", next_change!(), "
             where id in (select value from json_each(?1)) and status = 1 and owner = ?2
             returning ", order_columns!()
        ));
        self.change(ask.bind(json(&ids)).bind(owner.get()).bind(now()))
            .await?
            .iter()
            .map(order)
            .collect()
    }

    pub(super) async fn release_orders(&self, owner: IncarnationId) -> Result<u64, StoreError> {
        let ask = sqlx::query(
            "/* hand_back_orders */
             update orders set owner = null where id >= ?1 and status = 1 and owner = ?2 returning id",
        );
        let rows = self.write(ask.bind(self.floor.get().get()).bind(owner.get())).await?;
        Ok(rows.len() as u64)
    }
}
