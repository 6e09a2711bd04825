//! Places orders: one statement inserts a batch, a second one reads what its keys met.
//!
//! A key that two batches bring at once is settled by the unique index: the second batch waits for the first to commit,
//! inserts nothing, and reads the row. Rows are inserted in the order of their keys, so that two batches cannot deadlock.

use std::collections::HashMap;

use galley_protocol::{Order, Status, Timestamp, Version};
use sqlx::postgres::PgRow;

use super::rows::moment;
use super::{Postgres, SETTLE_TRIES, unsettled};
use crate::StoreError;
use crate::requests::{PlaceRequest, PlaceVerdict};
use crate::rows::{get, order, order_columns, parse, time};
use crate::verdict::repeated;

impl Postgres {
    pub(super) async fn place_orders(&self, requests: &[PlaceRequest]) -> Result<Vec<PlaceVerdict>, StoreError> {
        let mut verdicts: Vec<Option<PlaceVerdict>> = vec![None; requests.len()];
        for _ in 0..SETTLE_TRIES {
            let open: Vec<usize> = (0..requests.len()).filter(|&index| verdicts[index].is_none()).collect();
            if open.is_empty() {
                break;
            }
            self.place_open(requests, &open, &mut verdicts).await?;
        }
        verdicts.into_iter().map(|verdict| verdict.ok_or_else(unsettled)).collect()
    }

    /// A request stays open when its key was taken, and forgotten before the row could be read.
    async fn place_open(
        &self,
        requests: &[PlaceRequest],
        open: &[usize],
        verdicts: &mut [Option<PlaceVerdict>],
    ) -> Result<(), StoreError> {
        let asked: Vec<&PlaceRequest> = open.iter().map(|&index| &requests[index]).collect();
        let rows = self.insert_orders(&asked).await?;
        let placed = rows.iter().zip(&asked).map(|(row, request)| placed(row, request)).collect::<Result<Vec<_>, _>>()?;
        let lost = |(request, placed): (&&PlaceRequest, &Option<Order>)| placed.is_none() && request.key.is_some();
        let known = if asked.iter().zip(&placed).any(lost) { self.orders_by_key(&asked).await? } else { HashMap::new() };
        for (((index, request), row), placed) in open.iter().zip(&asked).zip(&rows).zip(placed) {
            verdicts[*index] = if let Some(order) = placed {
                Some(PlaceVerdict::Placed(order))
            } else if let Some(found) = key(request).and_then(|key| known.get(&key)) {
                Some(repeated(request, found))
            } else if !get::<bool>(row, "hero_found")? {
                Some(PlaceVerdict::HeroNotFound)
            } else if !get::<bool>(row, "meal_found")? {
                Some(PlaceVerdict::MealNotFound)
            } else {
                None
            };
        }
        Ok(())
    }

    async fn insert_orders(&self, asked: &[&PlaceRequest]) -> Result<Vec<PgRow>, StoreError> {
        let heroes: Vec<i64> = asked.iter().map(|request| request.hero_id.get()).collect();
        let meals: Vec<i64> = asked.iter().map(|request| request.meal_id.get()).collect();
        let (scopes, keys) = keys(asked);
        self.rows(|| {
            sqlx::query(concat!(
                "/* place_orders */
                 with asked as materialized (
                     select asked.*, heroes.id is not null as hero_found, meals.id is not null as meal_found
                     from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[])
                         with ordinality as asked(hero_id, meal_id, key_scope, key, n)
                     left join heroes on heroes.id = asked.hero_id and heroes.deleted_time is null
                     left join meals on meals.id = asked.meal_id and meals.deleted_time is null
                 ), good as materialized (
                     select *, nextval('order_ids') as id from (select * from asked where hero_found and meal_found order by n) as sorted
                 ), placed as (
                     insert into orders (id, hero_id, meal_id, key_scope, key, order_time)
                     select id, hero_id, meal_id, key_scope, key, ", moment!(), " from good order by key_scope, key, n
                     on conflict (key_scope, key) where key is not null do nothing
                     returning id, order_time
                 )
                 select asked.hero_found, asked.meal_found, placed.id, placed.order_time
                 from asked left join good on good.n = asked.n left join placed on placed.id = good.id
                 order by asked.n"
            ))
            .bind(&heroes)
            .bind(&meals)
            .bind(&scopes)
            .bind(&keys)
        })
        .await
    }

    async fn orders_by_key<'a>(&self, asked: &[&'a PlaceRequest]) -> Result<HashMap<(i64, &'a str), Order>, StoreError> {
        let (scopes, keys) = keys(asked);
        let rows = self.rows(|| {
            sqlx::query(concat!(
                "/* orders_by_key */
                 select asked.n, ",
                order_columns!(),
                "
                 from unnest($1::bigint[], $2::text[]) with ordinality as asked(key_scope, key, n)
                 join orders on orders.key_scope = asked.key_scope and orders.key = asked.key"
            ))
            .bind(&scopes)
            .bind(&keys)
        });
        let mut known = HashMap::new();
        for row in &rows.await? {
            let n: i64 = get(row, "n")?;
            let request = usize::try_from(n - 1).ok().and_then(|index| asked.get(index));
            if let Some(key) = request.and_then(|request| key(request)) {
                known.insert(key, order(row)?);
            }
        }
        Ok(known)
    }
}

fn key(request: &PlaceRequest) -> Option<(i64, &str)> {
    request.key.as_ref().map(|(scope, key)| (scope.code(), key.as_str()))
}

fn keys<'a>(asked: &[&'a PlaceRequest]) -> (Vec<Option<i64>>, Vec<Option<&'a str>>) {
    asked.iter().map(|request| key(request).unzip()).unzip()
}

/// The order that the row says was inserted.
fn placed(row: &PgRow, request: &PlaceRequest) -> Result<Option<Order>, StoreError> {
    if get::<Option<i64>>(row, "id")?.is_none() {
        return Ok(None);
    }
    let order_time: Timestamp = time(row, "order_time")?;
    Ok(Some(Order {
        id: parse::<i64, _>(row, "id")?,
        hero_id: request.hero_id,
        meal_id: request.meal_id,
        status: Status::Pending,
        message: None,
        reason: None,
        version: Version::FIRST,
        order_time,
        started_time: None,
        completed_time: None,
    }))
}
