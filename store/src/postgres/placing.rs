//! Places, cancels and deletes orders in batches.

use std::collections::HashMap;
use std::pin::Pin;

use async_trait::async_trait;
use galley_protocol::{CancelOrder, DeleteOrder, HeroId, OfHero, Order, OrderId, PlaceOrder};

use super::Postgres;
use crate::requests::{CancelVerdict, DeleteVerdict, PlaceVerdict};
use crate::row_values::{order, order_columns};
use crate::verdict::{against_cancel, against_delete};
use crate::{Placing, Result, StoreError};

/// The most tries for a batch: a concurrent change may come between its two statements.
const DECIDE_TRIES: usize = 5;

/// The verdicts of a statement: one for each request, `None` if undecided.
pub(super) type Verdicts<V> = Result<Vec<Option<V>>>;
type Statement<Q, V> = for<'a> fn(&'a Postgres, &'a [&'a Q]) -> BoxFuture<'a, Verdicts<V>>;
type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

#[async_trait]
impl Placing for Postgres {
    async fn place(&self, requests: &[OfHero<PlaceOrder, HeroId>]) -> Result<Vec<PlaceVerdict>> {
        self.decide(
            requests,
            |store, asked| Box::pin(store.insert_orders(asked)),
            |store, asked| Box::pin(store.against_orders(asked)),
        )
        .await
    }

    async fn cancel(&self, requests: &[OfHero<CancelOrder>]) -> Result<Vec<CancelVerdict>> {
        self.decide(
            requests,
            |store, asked| Box::pin(store.cancel_orders(asked)),
            |store, asked| {
                Box::pin(store.against_by_id(asked, |asked| asked.command.order_id, against_cancel))
            },
        )
        .await
    }

    async fn delete(&self, requests: &[OfHero<DeleteOrder>]) -> Result<Vec<DeleteVerdict>> {
        self.decide(
            requests,
            |store, asked| Box::pin(store.delete_orders(asked)),
            |store, asked| {
                Box::pin(store.against_by_id(asked, |asked| asked.command.order_id, against_delete))
            },
        )
        .await
    }
}

impl Postgres {
    /// Carries out the requests of a batch that it can, and finds the reasons against the others.
    /// A request without either is tried again; at last it fails with [`StoreError::Contended`].
    async fn decide<Q: Sync, V: Send>(
        &self,
        requests: &[Q],
        change: Statement<Q, V>,
        against: Statement<Q, V>,
    ) -> Result<Vec<V>> {
        let mut verdicts: Vec<Option<V>> = requests.iter().map(|_| None).collect();
        for statement in [change, against].repeat(DECIDE_TRIES) {
            let open: Vec<usize> =
                (0..requests.len()).filter(|&index| verdicts[index].is_none()).collect();
            if open.is_empty() {
                break;
            }
            let asked: Vec<&Q> = open.iter().map(|&index| &requests[index]).collect();
            for (index, verdict) in open.into_iter().zip(statement(self, &asked).await?) {
                verdicts[index] = verdict;
            }
        }
        let unsettled = || StoreError::Contended("a batch of orders".to_owned());
        verdicts.into_iter().map(|verdict| verdict.ok_or_else(unsettled)).collect()
    }

    /// Judges requests by the present states of their orders, without deleted ones.
    async fn against_by_id<Q, V>(
        &self,
        asked: &[&Q],
        id: fn(&Q) -> OrderId,
        against: fn(&Q, Option<&Order>) -> Option<V>,
    ) -> Verdicts<V> {
        let ids = column(asked, |request| id(request).get());
        let rows = self.rows(|| {
            sqlx::query(concat! {
                "/* orders_by_id */ select ", order_columns!(), " from orders
                 where id = any($1) and deleted_time is null"
            })
            .bind(&ids)
        });
        let rows = rows.await?;
        let orders = rows.iter().map(|row| order(row).map(|order| (order.id, order)));
        let found = orders.collect::<Result<HashMap<_, _>, _>>()?;
        Ok(asked.iter().map(|request| against(request, found.get(&id(request)))).collect())
    }
}

pub(super) fn column<'a, Q, T>(asked: &[&'a Q], value: impl Fn(&'a Q) -> T) -> Vec<T> {
    asked.iter().map(|request| value(request)).collect()
}
