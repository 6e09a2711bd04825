//! Adopts, completes and hands back orders. One process serves the file, so every incarnation that
//! this process did not begin is dead.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use async_trait::async_trait;
use galley_protocol::{IncarnationId, Order, OrderId, Reason};

use super::Sqlite;
use super::claim::claimed;
use super::statements::{json, next_change, now};
use crate::codes::{cancelled, completed, in_progress, undeliverable};
use crate::requests::{Claim, Claimed, Incarnations};
use crate::row_values::{limit, order, order_columns, parse};
use crate::{MAX_ADOPTIONS, StoreError, Work};

#[async_trait]
impl Work for Sqlite {
    async fn claim(
        &self,
        owner: IncarnationId,
        claim: Claim<'_>,
    ) -> Result<Vec<Claimed>, StoreError> {
        self.claim_orders(owner, &claim).await
    }

    async fn adopt(
        &self,
        owner: IncarnationId,
        at_most: usize,
    ) -> Result<Vec<Claimed>, StoreError> {
        let living = json(&*self.living.lock().unwrap_or_else(PoisonError::into_inner));
        let now = now();
        let ask = sqlx::query(concat! {
            "/* adopt_orders */
             with orphans as materialized (
                 select id, owner is null as handed_back,
                     owner is null or adoptions < ?5 as adoptable
                 from orders
                 where id >= ?2 and status = ", in_progress!(), "
                   and (owner is null or owner not in (select value from json_each(?4)))
                 order by id limit ?3
             )
             update orders set
                 status = iif(adoptable, ", in_progress!(), ", ", cancelled!(), "),
                 version = iif(adoptable, version, version + 1),
                 owner = iif(adoptable, ?1, null),
                 due_at = iif(adoptable, due_at, null),
                 adoptions = iif(adoptable and not handed_back, adoptions + 1, adoptions),
                 reason = iif(adoptable, null, ", undeliverable!(), "),
                 message = iif(adoptable, null, ?6),
                 completed_time = iif(adoptable, null, max(?7, started_time)),
                 change = iif(adoptable, change, ", next_change!(), ")
             from orphans where orders.id = orphans.id and orders.status = ", in_progress!(), "
             returning due_at, ", order_columns!()
        });
        let ask = ask
            .bind(owner.get())
            .bind(self.low_watermark.get().get())
            .bind(limit(at_most))
            .bind(living)
            .bind(MAX_ADOPTIONS)
            .bind(Reason::Undeliverable.message())
            .bind(now);
        self.change(ask).await?.iter().map(|row| claimed(row, now)).collect()
    }

    async fn complete(
        &self,
        owner: IncarnationId,
        ids: &[OrderId],
    ) -> Result<Vec<Order>, StoreError> {
        let ask = sqlx::query(concat! {
            "/* complete_orders */
             update orders set status = ", completed!(), ", version = version + 1,
                 completed_time = max(?3, started_time), owner = null, due_at = null,
                 change = ", next_change!(), "
             where id in (select value from json_each(?1))
               and status = ", in_progress!(), " and owner = ?2
             returning ", order_columns!()
        });
        let ask = ask.bind(json(&ids)).bind(owner.get()).bind(now());
        self.change(ask).await?.iter().map(order).collect()
    }

    async fn hand_back(&self, owner: IncarnationId) -> Result<u64, StoreError> {
        let ask = sqlx::query(concat! {
            "/* hand_back_orders */
             update orders set owner = null
             where id >= ?1 and status = ", in_progress!(), " and owner = ?2 returning id"
        });
        let rows = self.write(ask.bind(self.low_watermark.get().get()).bind(owner.get())).await?;
        Ok(rows.len() as u64)
    }

    async fn enlist(&self) -> Result<IncarnationId, StoreError> {
        let rows = self.write(sqlx::query(
            "/* enlist */
             update watermark set incarnation = incarnation + 1 returning incarnation as id",
        ));
        let rows = rows.await?;
        let row = rows
            .first()
            .ok_or_else(|| StoreError::Failed("no number for an incarnation".to_owned()))?;
        let id: IncarnationId = parse::<i64, _>(row, "id")?;
        self.living.lock().unwrap_or_else(PoisonError::into_inner).insert(id.get());
        Ok(id)
    }

    async fn incarnations(&self) -> Result<Incarnations, StoreError> {
        let living = self.living.lock().unwrap_or_else(PoisonError::into_inner);
        let living: BTreeSet<_> =
            living.iter().filter_map(|id| IncarnationId::new(*id).ok()).collect();
        Ok(Incarnations { newest: living.last().copied(), living })
    }
}
