//! Cancels orders at a hero's request: reads, judges and writes in one transaction.

use std::collections::HashSet;

use galley_protocol::{CancelOrder, OfHero, Reason};

use super::Sqlite;
use super::delete::orders_by_id;
use super::session::{json, next_change, now};
use crate::StoreError;
use crate::requests::CancelVerdict;
use crate::rows::{order, order_columns};
use crate::verdict::against_cancel;

impl Sqlite {
    /// Carries out the first fitting request for each order; the others meet its result.
    pub(super) async fn cancel_orders(
        &self,
        requests: &[OfHero<CancelOrder>],
    ) -> Result<Vec<CancelVerdict>, StoreError> {
        let mut transaction = self.begin().await?;
        let mut found =
            orders_by_id(&mut transaction, requests.iter().map(|request| request.command.order_id))
                .await?;
        let mut taken = HashSet::new();
        let mut wins = |request: &OfHero<CancelOrder>| {
            against_cancel(request, found.get(&request.command.order_id)).is_none()
                && taken.insert(request.command.order_id)
        };
        let wins: Vec<bool> = requests.iter().map(&mut wins).collect();
        let message = |request: &OfHero<CancelOrder>| {
            let text = request
                .command
                .reason
                .as_ref()
                .map_or(Reason::HeroRequest.message(), |text| text.as_str());
            (request.command.order_id, text.to_owned())
        };
        let winners: Vec<_> = requests
            .iter()
            .zip(&wins)
            .filter(|(_, wins)| **wins)
            .map(|(request, _)| message(request))
            .collect();
        let update = sqlx::query(concat!(
            "/* cancel_orders */
             update orders set status = 3, reason = ?2, message = asked.value ->> 1, version = version + 1,
                 completed_time = max(?3, order_time, coalesce(started_time, 0)), owner = null, due_at = null,
                 change = ",
            next_change!(),
            " from json_each(?1) as asked where orders.id = asked.value ->> 0 and orders.status in (0, 1)
             returning ",
            order_columns!()
        ));
        let update = update.bind(json(&winners)).bind(Reason::HeroRequest.code()).bind(now());
        if winners.is_empty() {
            transaction.commit().await?;
        } else {
            for row in &transaction.ask(update).await? {
                let order = order(row)?;
                found.insert(order.id, order);
            }
            transaction.commit_changes().await?;
        }
        let verdict = |(request, wins): (&OfHero<CancelOrder>, bool)| {
            let order = found.get(&request.command.order_id);
            match order.filter(|_| wins) {
                Some(order) => Ok(CancelVerdict::Cancelled(order.clone())),
                None => against_cancel(request, order)
                    .ok_or_else(|| StoreError::Failed("an order was not cancelled".to_owned())),
            }
        };
        requests.iter().zip(wins).map(verdict).collect()
    }
}
