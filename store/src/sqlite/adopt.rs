//! Incarnations, and what becomes of the orders of dead ones. One process serves the file, so that
//! every incarnation that it did not begin itself is dead.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use galley_protocol::{IncarnationId, Reason};

use super::Sqlite;
use super::claim::claimed;
use super::session::{json, next_change, now};
use crate::requests::{Claimed, Incarnations};
use crate::rows::{order_columns, parse};
use crate::{MAX_ADOPTIONS, StoreError};

impl Sqlite {
    pub(super) async fn begin_incarnation(&self) -> Result<IncarnationId, StoreError> {
        let rows = self
            .write(sqlx::query("/* enlist */ update watermark set incarnation = incarnation + 1 returning incarnation as id"));
        let rows = rows.await?;
        let row = rows
            .first()
            .ok_or_else(|| StoreError::Failed("no number for an incarnation".to_owned()))?;
        let id: IncarnationId = parse::<i64, _>(row, "id")?;
        self.living.lock().unwrap_or_else(PoisonError::into_inner).insert(id.get());
        Ok(id)
    }

    pub(super) fn known_incarnations(&self) -> Incarnations {
        let living = self.living.lock().unwrap_or_else(PoisonError::into_inner);
        let living: BTreeSet<_> =
            living.iter().filter_map(|id| IncarnationId::new(*id).ok()).collect();
        Incarnations { newest: living.last().copied(), living }
    }

    pub(super) async fn adopt_orders(
        &self,
        owner: IncarnationId,
        limit: usize,
    ) -> Result<Vec<Claimed>, StoreError> {
        let living = json(&*self.living.lock().unwrap_or_else(PoisonError::into_inner));
        let now = now();
        let ask = sqlx::query(concat!(
            "/* adopt_orders */
             with orphans as materialized (
                 select id, owner is null as handed_back, owner is null or adoptions < ?5 as adoptable from orders
                 where id >= ?2 and status = 1 and (owner is null or owner not in (select value from json_each(?4)))
                 order by id limit ?3
             )
             update orders set
                 status = iif(adoptable, 1, 3),
                 version = iif(adoptable, version, version + 1),
                 owner = iif(adoptable, ?1, null),
                 due_at = iif(adoptable, due_at, null),
                 adoptions = iif(adoptable and not handed_back, adoptions + 1, adoptions),
                 reason = iif(adoptable, null, ?6),
                 message = iif(adoptable, null, ?7),
                 completed_time = iif(adoptable, null, max(?8, started_time)),
                 change = iif(adoptable, change, ",
            next_change!(),
            ")
             from orphans where orders.id = orphans.id and orders.status = 1
             returning due_at, ",
            order_columns!()
        ));
        let ask = ask
            .bind(owner.get())
            .bind(self.floor.get().get())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .bind(living)
            .bind(MAX_ADOPTIONS)
            .bind(Reason::Undeliverable.code())
            .bind(Reason::Undeliverable.message())
            .bind(now);
        self.change(ask).await?.iter().map(|row| claimed(row, now)).collect()
    }
}
