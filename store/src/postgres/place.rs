//! Places orders. One statement inserts a batch; a second one finds the reasons for the requests
//! that it left out.
//!
//! The unique index decides between two batches with the same key: the second batch waits for the
//! first to commit, inserts nothing, and then reads the row. A key belongs to its hero. Earlier
//! versions stored keys of callers without a token under the scope 0. Those are checked too, so
//! that a repeated request during an upgrade places no second order. Rows are inserted in the order
//! of their keys, so that two batches cannot deadlock.

use galley_protocol::{HeroId, OfHero, Order, PlaceOrder};
use sqlx::postgres::PgRow;

use super::Postgres;
use super::placing::{Verdicts, column};
use super::rows::moment;
use super::statements::PostgresQuery;
use crate::Result;
use crate::requests::{PlaceVerdict, scoped_key};
use crate::row_values::{get, order, order_columns, parse, time};
use crate::verdict::repeated;

type Placement = OfHero<PlaceOrder, HeroId>;

impl Postgres {
    /// Inserts the orders of a batch. Ids rise in the order of the requests, so the inserted orders
    /// sorted by id are a subsequence of the requests. Of equal requests the first one is inserted.
    pub(super) async fn insert_orders(&self, asked: &[&Placement]) -> Verdicts<PlaceVerdict> {
        let arguments = PlaceColumns::of(asked);
        let rows = self.change(|| {
            arguments.bind(sqlx::query(concat! {
                "/* place_orders */
                 insert into orders (id, hero_id, meal_id, key_scope, key,
                     meal_name, meal_price_hundredths, order_time)
                 select id, hero_id, meal_id, key_scope, key,
                     meal_name, meal_price_hundredths, ", moment!(), "
                 from (
                     select nextval('order_ids') as id, sorted.* from (
                         select asked.*, meals.name as meal_name,
                             meals.price_hundredths as meal_price_hundredths
                         from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[])
                             with ordinality as asked(hero_id, meal_id, key_scope, key, n)
                         join heroes on heroes.id = asked.hero_id and heroes.deleted_time is null
                         join meals on meals.id = asked.meal_id and meals.deleted_time is null
                         where not exists (
                             select from orders as earlier
                             where earlier.key_scope = 0 and earlier.key = asked.key
                               and earlier.hero_id = asked.hero_id
                         )
                         order by n
                     ) as sorted
                 ) as numbered
                 order by key_scope, key, n
                 on conflict (key_scope, key) where key is not null do nothing
                 returning id, hero_id, meal_id, key_scope, key, order_time"
            }))
        });
        let mut inserted = rows.await?.iter().map(inserted).collect::<Result<Vec<_>, _>>()?;
        inserted.sort_unstable_by_key(|inserted| inserted.order.id);
        let mut inserted = inserted.into_iter().peekable();
        let verdict = |request| {
            inserted
                .next_if(|inserted| inserted.is_of(request))
                .map(|inserted| PlaceVerdict::Placed(inserted.order))
        };
        Ok(asked.iter().copied().map(verdict).collect())
    }

    /// Finds the reasons. There is none if the key was taken and is forgotten by now.
    pub(super) async fn against_orders(&self, asked: &[&Placement]) -> Verdicts<PlaceVerdict> {
        let arguments = PlaceColumns::of(asked);
        let rows = self.rows(|| {
            arguments.bind(sqlx::query(concat! {
                "/* against_orders */
                 select heroes.id is not null as hero_found, meals.id is not null as meal_found,
                     ", order_columns!(), "
                 from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[])
                     with ordinality as asked(hero_id, meal_id, key_scope, key, n)
                 left join heroes on heroes.id = asked.hero_id and heroes.deleted_time is null
                 left join meals on meals.id = asked.meal_id and meals.deleted_time is null
                 left join lateral (
                     select * from orders as known
                     where known.key_scope in (asked.key_scope, 0) and known.key = asked.key
                       and known.hero_id = asked.hero_id
                     order by known.key_scope desc limit 1
                 ) as orders on true
                 order by asked.n"
            }))
        });
        rows.await?.iter().zip(asked).map(|(row, request)| against(row, request)).collect()
    }
}

struct PlaceColumns<'a> {
    heroes: Vec<i64>,
    meals: Vec<i64>,
    scopes: Vec<Option<i64>>,
    keys: Vec<Option<&'a str>>,
}

impl<'a> PlaceColumns<'a> {
    fn of(asked: &[&'a Placement]) -> Self {
        let (scopes, keys) = asked.iter().map(|request| scoped_key(request).unzip()).unzip();
        Self {
            heroes: column(asked, |request| request.hero_id.get()),
            meals: column(asked, |request| request.command.meal_id.get()),
            scopes,
            keys,
        }
    }

    fn bind<'q>(&'q self, ask: PostgresQuery<'q>) -> PostgresQuery<'q> {
        ask.bind(&self.heroes).bind(&self.meals).bind(&self.scopes).bind(&self.keys)
    }
}

struct Inserted {
    order: Order,
    key: Option<(i64, String)>,
}

impl Inserted {
    fn is_of(&self, request: &Placement) -> bool {
        let key = self.key.as_ref().map(|(scope, key)| (*scope, key.as_str()));
        (self.order.hero_id, self.order.meal_id, key)
            == (request.hero_id, request.command.meal_id, scoped_key(request))
    }
}

fn inserted(row: &PgRow) -> Result<Inserted> {
    let order = Order::placed(
        parse::<i64, _>(row, "id")?,
        parse::<i64, _>(row, "hero_id")?,
        &PlaceOrder::of(parse::<i64, _>(row, "meal_id")?),
        time(row, "order_time")?,
    );
    Ok(Inserted { order, key: Option::zip(get(row, "key_scope")?, get(row, "key")?) })
}

fn against(row: &PgRow, request: &Placement) -> Result<Option<PlaceVerdict>> {
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
