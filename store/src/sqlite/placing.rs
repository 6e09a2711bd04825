//! Places, cancels and deletes orders: reads, judges and writes a batch in one transaction.
//!
//! A key belongs to its hero. Earlier versions stored keys of callers without a token under the
//! scope 0. Those are checked too, so that a repeated request after an upgrade places no second
//! order.
//!
//! A deletion marks the row and raises its version, so that sockets receive it.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use galley_protocol::{
    CancelOrder, DeleteOrder, Deleted, HeroId, OfHero, Order, OrderId, PlaceOrder, Reason,
    Timestamp,
};

use super::statements::{Batch, json, next_change, now};
use super::{Sqlite, tally};
use crate::codes::{active, cancelled, ended, hero_request};
use crate::requests::{CancelVerdict, DeleteVerdict, PlaceVerdict, scoped_key};
use crate::row_values::{get, order, order_columns};
use crate::verdict::{against_cancel, against_delete, repeated};
use crate::{Placing, Result, StoreError};

type ScopedKey<'a> = (i64, &'a str);

#[async_trait]
impl Placing for Sqlite {
    async fn place(&self, requests: &[OfHero<PlaceOrder, HeroId>]) -> Result<Vec<PlaceVerdict>> {
        let mut transaction = self.begin().await?;
        let mut known = orders_by_key(&mut transaction, requests).await?;
        let found = found(&mut transaction, requests).await?;
        let mut next = next_id(&mut transaction).await?;
        let order_time = timestamp()?;
        let mut good = Vec::new();
        let mut verdicts = Vec::with_capacity(requests.len());
        for (request, (hero_found, meal_found)) in requests.iter().zip(found) {
            verdicts.push(
                if let Some(order) = scoped_key(request).and_then(|key| known.get(&key)) {
                    repeated(request, order)
                } else if !hero_found {
                    PlaceVerdict::HeroNotFound
                } else if !meal_found {
                    PlaceVerdict::MealNotFound
                } else {
                    let id = OrderId::new(next)
                        .map_err(|error| StoreError::Failed(error.to_string()))?;
                    next += 1;
                    let order = Order::placed(id, request.hero_id, &request.command, order_time);
                    good.push((id, request.hero_id, request.command.meal_id, scoped_key(request)));
                    // Later requests of the batch with this key replay the order.
                    known.extend(scoped_key(request).map(|key| (key, order.clone())));
                    PlaceVerdict::Placed(order)
                },
            );
        }
        let insert = sqlx::query(concat! {
            "/* place_orders */
             insert into orders (id, hero_id, meal_id, key_scope, key,
                 meal_name, meal_price_hundredths, order_time, change)
             select good.value ->> 0, good.value ->> 1, good.value ->> 2,
                 good.value ->> '$[3][0]', good.value ->> '$[3][1]',
                 meals.name, meals.price_hundredths, ?2, ", next_change!(), "
             from json_each(?1) as good join meals on meals.id = good.value ->> 2"
        });
        if good.is_empty() {
            transaction.commit().await?;
        } else {
            transaction.ask(insert.bind(json(&good)).bind(order_time.millis())).await?;
            transaction.commit_changes().await?;
        }
        Ok(verdicts)
    }

    /// Cancels each order for its first match; later requests meet the cancelled order.
    async fn cancel(&self, requests: &[OfHero<CancelOrder>]) -> Result<Vec<CancelVerdict>> {
        let mut transaction = self.begin().await?;
        let ids = requests.iter().map(|request| request.command.order_id);
        let mut found = orders_by_id(&mut transaction, ids).await?;
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
        let update = sqlx::query(concat! {
            "/* cancel_orders */
             update orders set status = ", cancelled!(), ", reason = ", hero_request!(), ",
                 message = asked.value ->> 1, version = version + 1,
                 completed_time = max(?2, order_time, coalesce(started_time, 0)),
                 owner = null, due_at = null, change = ", next_change!(), "
             from json_each(?1) as asked
             where orders.id = asked.value ->> 0 and orders.", active!(), "
             returning ", order_columns!()
        });
        if winners.is_empty() {
            transaction.commit().await?;
        } else {
            for row in &transaction.ask(update.bind(json(&winners)).bind(now())).await? {
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

    /// Deletes each order for the first request that matches it; later ones find no order.
    async fn delete(&self, requests: &[OfHero<DeleteOrder>]) -> Result<Vec<DeleteVerdict>> {
        let mut transaction = self.begin().await?;
        let ids = requests.iter().map(|request| request.command.order_id);
        let mut found = orders_by_id(&mut transaction, ids).await?;
        let mut winners = Vec::new();
        let mut verdicts: Vec<Option<DeleteVerdict>> = vec![None; requests.len()];
        for (request, verdict) in requests.iter().zip(&mut verdicts) {
            if against_delete(request, found.get(&request.command.order_id)).is_none()
                && let Some(order) = found.remove(&request.command.order_id)
            {
                // If the clock was set back, the deletion has the time of the order's last change.
                let time = timestamp()?.max(order.changed_time());
                winners.push((order.id, time.millis()));
                let deleted = Deleted { order_id: order.id, version: order.version.next() };
                *verdict = Some(DeleteVerdict::Deleted { deleted, hero_id: order.hero_id, time });
            }
        }
        let update = sqlx::query(concat! {
            "/* delete_orders */
             update orders set deleted_time = asked.value ->> 1, version = version + 1,
                 change = ", next_change!(), "
             from json_each(?1) as asked
             where orders.id = asked.value ->> 0 and orders.", ended!(), "
               and orders.deleted_time is null"
        });
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

fn timestamp() -> Result<Timestamp> {
    Timestamp::from_millis(now()).map_err(|error| StoreError::Failed(error.to_string()))
}

async fn orders_by_key<'a>(
    transaction: &mut Batch<'_>,
    requests: &'a [OfHero<PlaceOrder, HeroId>],
) -> Result<HashMap<ScopedKey<'a>, Order>> {
    let keys: Vec<ScopedKey<'a>> = requests.iter().filter_map(scoped_key).collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query(concat! {
        "/* orders_by_key */
         select asked.key as n, ", order_columns!(), "
         from json_each(?1) as asked
         join orders on orders.key_scope in (0, asked.value ->> 0)
             and orders.key = asked.value ->> 1 and orders.hero_id = asked.value ->> 0
         order by orders.key_scope"
    });
    let mut known = HashMap::new();
    for row in &transaction.ask(rows.bind(json(&keys))).await? {
        if let Some(key) =
            usize::try_from(get::<i64>(row, "n")?).ok().and_then(|index| keys.get(index))
        {
            known.insert(*key, order(row)?);
        }
    }
    Ok(known)
}

/// Returns for each request whether its hero and its meal exist.
async fn found(
    transaction: &mut Batch<'_>,
    requests: &[OfHero<PlaceOrder, HeroId>],
) -> Result<Vec<(bool, bool)>> {
    let pairs: Vec<_> =
        requests.iter().map(|request| (request.hero_id, request.command.meal_id)).collect();
    let rows = sqlx::query(
        "/* heroes_and_meals_found */
         select heroes.id is not null as hero_found, meals.id is not null as meal_found
         from json_each(?1) as asked
         left join heroes on heroes.id = asked.value ->> 0 and heroes.deleted_time is null
         left join meals on meals.id = asked.value ->> 1 and meals.deleted_time is null
         order by asked.key",
    );
    let rows = transaction.ask(rows.bind(json(&pairs))).await?;
    rows.iter().map(|row| Ok((get(row, "hero_found")?, get(row, "meal_found")?))).collect()
}

async fn next_id(transaction: &mut Batch<'_>) -> Result<i64> {
    let rows = transaction
        .ask(sqlx::query("/* last_id */ select seq from sqlite_sequence where name = 'orders'"))
        .await?;
    Ok(rows.first().map_or(Ok(0), |row| get::<i64>(row, "seq"))? + 1)
}

/// The present states of the orders, without deleted ones.
async fn orders_by_id(
    transaction: &mut Batch<'_>,
    ids: impl Iterator<Item = OrderId>,
) -> Result<HashMap<OrderId, Order>> {
    let rows = sqlx::query(concat! {
        "/* orders_by_id */ select ", order_columns!(), " from orders
         where id in (select value from json_each(?1)) and deleted_time is null"
    });
    let rows = transaction.ask(rows.bind(json(&ids.collect::<Vec<_>>()))).await?;
    rows.iter().map(|row| order(row).map(|order| (order.id, order))).collect()
}
