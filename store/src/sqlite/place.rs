//! Places orders: judges a batch and inserts what is good, in one transaction.
//!
//! A key belongs to its hero. An earlier version gave those of callers without a token the scope 0:
//! they are looked for as well, so that a repetition after an upgrade places nothing new.

use std::collections::HashMap;

use galley_protocol::{HeroId, OfHero, Order, OrderId, PlaceOrder, Timestamp};

use super::Sqlite;
use super::session::{Batch, json, next_change, now};
use crate::StoreError;
use crate::requests::{PlaceVerdict, scoped_key};
use crate::rows::{get, order, order_columns};
use crate::verdict::repeated;

type Key<'a> = (i64, &'a str);

impl Sqlite {
    pub(super) async fn place_orders(
        &self,
        requests: &[OfHero<PlaceOrder, HeroId>],
    ) -> Result<Vec<PlaceVerdict>, StoreError> {
        let mut transaction = self.begin().await?;
        let mut known = orders_by_key(&mut transaction, requests).await?;
        let found = found(&mut transaction, requests).await?;
        let mut next = next_id(&mut transaction).await?;
        let order_time =
            Timestamp::from_millis(now()).map_err(|error| StoreError::Failed(error.to_string()))?;
        let mut good = Vec::new();
        let mut verdicts = Vec::with_capacity(requests.len());
        for (request, (hero_found, meal_found)) in requests.iter().zip(found) {
            let (hero_id, meal_id) = (request.hero_id, request.command.meal_id);
            let key = scoped_key(request);
            verdicts.push(if let Some(order) = key.and_then(|key| known.get(&key)) {
                repeated(request, order)
            } else if !hero_found {
                PlaceVerdict::HeroNotFound
            } else if !meal_found {
                PlaceVerdict::MealNotFound
            } else {
                let id =
                    OrderId::new(next).map_err(|error| StoreError::Failed(error.to_string()))?;
                next += 1;
                let order = Order::placed(id, hero_id, meal_id, order_time);
                good.push((id, hero_id, meal_id, key));
                known.extend(key.map(|key| (key, order.clone())));
                PlaceVerdict::Placed(order)
            });
        }
        let insert = sqlx::query(concat!(
            "/* place_orders */
             insert into orders
                 (id, hero_id, meal_id, key_scope, key, meal_name, meal_price_hundredths, order_time, change)
             select good.value ->> 0, good.value ->> 1, good.value ->> 2, good.value ->> '$[3][0]',
                 good.value ->> '$[3][1]', meals.name, meals.price_hundredths, ?2, ",
            next_change!(),
            " from json_each(?1) as good join meals on meals.id = good.value ->> 2",
        ));
        if good.is_empty() {
            transaction.commit().await?;
        } else {
            transaction.ask(insert.bind(json(&good)).bind(order_time.millis())).await?;
            transaction.commit_changes().await?;
        }
        Ok(verdicts)
    }
}

async fn orders_by_key<'a>(
    transaction: &mut Batch<'_>,
    requests: &'a [OfHero<PlaceOrder, HeroId>],
) -> Result<HashMap<Key<'a>, Order>, StoreError> {
    let keys: Vec<Key<'a>> = requests.iter().filter_map(scoped_key).collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query(concat!(
        "/* orders_by_key */
         select asked.key as n, ",
        order_columns!(),
        " from json_each(?1) as asked
         join orders on orders.key_scope in (0, asked.value ->> 0) and orders.key = asked.value ->> 1
             and orders.hero_id = asked.value ->> 0
         order by orders.key_scope"
    ));
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

/// Returns true if hero and meal of each request are there.
async fn found(
    transaction: &mut Batch<'_>,
    requests: &[OfHero<PlaceOrder, HeroId>],
) -> Result<Vec<(bool, bool)>, StoreError> {
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

async fn next_id(transaction: &mut Batch<'_>) -> Result<i64, StoreError> {
    let rows = transaction
        .ask(sqlx::query("/* last_id */ select seq from sqlite_sequence where name = 'orders'"))
        .await?;
    Ok(rows.first().map_or(Ok(0), |row| get::<i64>(row, "seq"))? + 1)
}
