//! Places orders: one statement inserts a batch; a second one asks what stood against those that it left out.
//!
//! A key that two batches bring at once is settled by the unique index: the second batch waits for the first to commit,
//! inserts nothing, and reads the row. Rows are inserted in the order of their keys, so that two batches cannot deadlock.

use galley_protocol::{Order, Status, Version};
use sqlx::postgres::PgRow;

use super::rows::moment;
use super::session::Ask;
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
        let mut inserted = self.insert_orders(&asked).await?.into_iter().peekable();
        let mut left_out = Vec::new();
        for (&index, request) in open.iter().zip(asked) {
            match inserted.next_if(|inserted| inserted.is_of(request)) {
                Some(Inserted { order, .. }) => verdicts[index] = Some(PlaceVerdict::Placed(order)),
                None => left_out.push((index, request)),
            }
        }
        if left_out.is_empty() {
            return Ok(());
        }
        let (indices, asked): (Vec<usize>, Vec<&PlaceRequest>) = left_out.into_iter().unzip();
        for (index, verdict) in indices.into_iter().zip(self.against_orders(&asked).await?) {
            verdicts[index] = verdict;
        }
        Ok(())
    }

    /// What was inserted, in the order of the requests: a subsequence of them, for ids are given in that order. Of requests that are alike
    /// the first ones are in it.
    async fn insert_orders(&self, asked: &[&PlaceRequest]) -> Result<Vec<Inserted>, StoreError> {
        let arguments = Arguments::of(asked);
        let rows = self.rows(|| {
            arguments.bind(sqlx::query(concat!(
                "/* place_orders */
                 insert into orders (id, hero_id, meal_id, key_scope, key, order_time)
                 select id, hero_id, meal_id, key_scope, key, ",
                moment!(),
                " from (
                     select nextval('order_ids') as id, sorted.* from (
                         select asked.*
                         from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[])
                             with ordinality as asked(hero_id, meal_id, key_scope, key, n)
                         join heroes on heroes.id = asked.hero_id and heroes.deleted_time is null
                         join meals on meals.id = asked.meal_id and meals.deleted_time is null
                         order by n
                     ) as sorted
                 ) as numbered
                 order by key_scope, key, n
                 on conflict (key_scope, key) where key is not null do nothing
                 returning id, hero_id, meal_id, key_scope, key, order_time"
            )))
        });
        let mut inserted = rows.await?.iter().map(inserted).collect::<Result<Vec<_>, _>>()?;
        inserted.sort_unstable_by_key(|inserted| inserted.order.id);
        Ok(inserted)
    }

    /// What stands against each request: nothing, when it may be tried again.
    async fn against_orders(&self, asked: &[&PlaceRequest]) -> Result<Vec<Option<PlaceVerdict>>, StoreError> {
        let arguments = Arguments::of(asked);
        let rows = self.rows(|| {
            arguments.bind(sqlx::query(concat!(
                "/* against_orders */
                 select heroes.id is not null as hero_found, meals.id is not null as meal_found, ",
                order_columns!(),
                "
                 from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[])
                     with ordinality as asked(hero_id, meal_id, key_scope, key, n)
                 left join heroes on heroes.id = asked.hero_id and heroes.deleted_time is null
                 left join meals on meals.id = asked.meal_id and meals.deleted_time is null
                 left join orders on orders.key_scope = asked.key_scope and orders.key = asked.key
                 order by asked.n"
            )))
        });
        rows.await?.iter().zip(asked).map(|(row, request)| against(row, request)).collect()
    }
}

/// Requests, column by column.
struct Arguments<'a> {
    heroes: Vec<i64>,
    meals: Vec<i64>,
    scopes: Vec<Option<i64>>,
    keys: Vec<Option<&'a str>>,
}

impl<'a> Arguments<'a> {
    fn of(asked: &[&'a PlaceRequest]) -> Self {
        let (scopes, keys) = asked.iter().map(|request| key(request).unzip()).unzip();
        Self {
            heroes: asked.iter().map(|request| request.hero_id.get()).collect(),
            meals: asked.iter().map(|request| request.meal_id.get()).collect(),
            scopes,
            keys,
        }
    }

    fn bind<'q>(&'q self, ask: Ask<'q>) -> Ask<'q> {
        ask.bind(&self.heroes).bind(&self.meals).bind(&self.scopes).bind(&self.keys)
    }
}

/// An order that was inserted, with the scope of its key and the key.
struct Inserted {
    order: Order,
    key: Option<(i64, String)>,
}

impl Inserted {
    fn is_of(&self, request: &PlaceRequest) -> bool {
        let own = self.key.as_ref().map(|(scope, key)| (*scope, key.as_str()));
        (self.order.hero_id, self.order.meal_id, own) == (request.hero_id, request.meal_id, key(request))
    }
}

fn key(request: &PlaceRequest) -> Option<(i64, &str)> {
    request.key.as_ref().map(|(scope, key)| (scope.code(), key.as_str()))
}

fn inserted(row: &PgRow) -> Result<Inserted, StoreError> {
    let order = Order {
        id: parse::<i64, _>(row, "id")?,
        hero_id: parse::<i64, _>(row, "hero_id")?,
        meal_id: parse::<i64, _>(row, "meal_id")?,
        status: Status::Pending,
        message: None,
        reason: None,
        version: Version::FIRST,
        order_time: time(row, "order_time")?,
        started_time: None,
        completed_time: None,
    };
    Ok(Inserted { order, key: Option::zip(get(row, "key_scope")?, get(row, "key")?) })
}

fn against(row: &PgRow, request: &PlaceRequest) -> Result<Option<PlaceVerdict>, StoreError> {
    Ok(if get::<Option<i64>>(row, "id")?.is_some() {
        Some(repeated(request, &order(row)?))
    } else if !get::<bool>(row, "hero_found")? {
        Some(PlaceVerdict::HeroNotFound)
    } else if !get::<bool>(row, "meal_found")? {
        Some(PlaceVerdict::MealNotFound)
    } else {
        None
    })
}
