//! Deletes orders that have ended: softly, and one version up, so that sockets hear of it.

use std::collections::HashMap;

use galley_protocol::{DeleteOrder, Deleted, OfHero, Order, OrderId, Timestamp};

use super::session::{Batch, json, next_change, now};
use super::{Sqlite, tally};
use crate::StoreError;
use crate::requests::DeleteVerdict;
use crate::rows::{order, order_columns};
use crate::verdict::against_delete;

impl Sqlite {
    /// Carries out the first fitting request for each order; the others find it gone.
    pub(super) async fn delete_orders(
        &self,
        requests: &[OfHero<DeleteOrder>],
    ) -> Result<Vec<DeleteVerdict>, StoreError> {
        let mut transaction = self.begin().await?;
        let mut found =
            orders_by_id(&mut transaction, requests.iter().map(|request| request.command.order_id))
                .await?;
        let mut winners = Vec::new();
        let mut verdicts: Vec<Option<DeleteVerdict>> = vec![None; requests.len()];
        for (request, verdict) in requests.iter().zip(&mut verdicts) {
            if against_delete(request, found.get(&request.command.order_id)).is_none()
                && let Some(order) = found.remove(&request.command.order_id)
            {
                let time = deletion_time(&order)?;
                winners.push((order.id, time.millis()));
                let deleted = Deleted { order_id: order.id, version: order.version.next() };
                *verdict = Some(DeleteVerdict::Deleted { deleted, hero_id: order.hero_id, time });
            }
        }
        let update = sqlx::query(concat!(
            "/* delete_orders */
             update orders set deleted_time = asked.value ->> 1, version = version + 1,
                 change = ",
            next_change!(),
            " from json_each(?1) as asked
             where orders.id = asked.value ->> 0 and orders.status in (2, 3) and orders.deleted_time is null",
        ));
        if winners.is_empty() {
            transaction.commit().await?;
        } else {
            let winners = json(&winners);
            tally::subtract(&mut transaction, &winners).await?;
            transaction.ask(update.bind(winners)).await?;
            transaction.commit_changes().await?;
        }
        let verdict = |(request, verdict): (&OfHero<DeleteOrder>, Option<DeleteVerdict>)| {
            let verdict =
                verdict.or_else(|| against_delete(request, found.get(&request.command.order_id)));
            verdict.ok_or_else(|| StoreError::Failed("an order was not deleted".to_owned()))
        };
        requests.iter().zip(verdicts).map(verdict).collect()
    }
}

/// Now, or when the order ended: the clock may have been set back.
fn deletion_time(order: &Order) -> Result<Timestamp, StoreError> {
    let now =
        Timestamp::from_millis(now()).map_err(|error| StoreError::Failed(error.to_string()))?;
    Ok(now.max(order.changed_time()))
}

/// The orders as they are, without the deleted ones.
pub(super) async fn orders_by_id(
    transaction: &mut Batch<'_>,
    ids: impl Iterator<Item = OrderId>,
) -> Result<HashMap<OrderId, Order>, StoreError> {
    let rows = sqlx::query(concat!(
        "/* orders_by_id */ select ",
        order_columns!(),
        " from orders
         where id in (select value from json_each(?1)) and deleted_time is null"
    ));
    let rows = transaction.ask(rows.bind(json(&ids.collect::<Vec<_>>()))).await?;
    rows.iter().map(|row| order(row).map(|order| (order.id, order))).collect()
}
