//! Reads orders and changes since a cursor. One statement reads orders, deletions and its own
//! position, so that each order is either in the one list or in the other.
//!
//! The `xmin` of a row is the transaction that wrote it last, and changes are selected by it. A
//! time would not do: it is set before the commit, by a clock that may be adjusted. A position
//! column of our own would be no cheaper to update.
//!
//! Orders are found by id from the cursor's low watermark on. Deletions have their own indexes,
//! because orders below the low watermark can still be deleted. They are materialized before their
//! ids are compared. Otherwise the planner scans all orders by id until it has found enough
//! deletions.

use std::time::Duration;

use async_trait::async_trait;
use galley_protocol::frame::{Page, Totals};
use galley_protocol::{HeroId, ListOrders, OfHero, OrderId, OrderView, ResumeCursor, Timestamp};
use time::OffsetDateTime;

use super::Postgres;
use super::rows::{by_request, changed, changed_since, clock, first, searched};
use crate::change_pages::{CHANGES_PAGE, Changes, ChangesOfAll, ChangesRequest, States};
use crate::codes::{active, claimable};
use crate::cursor_keys::CursorKeys;
use crate::requests::ViewedOrder;
use crate::row_values::{
    get, limit, names_joined, one_order, only, order_columns, order_view, order_view_columns,
    parse, viewed_order,
};
use crate::searching::{OrderRange, SEARCHED, first_since};
use crate::snapshot::{MAX_REACH, Snapshot, SnapshotRequest};
use crate::{Reading, Result};

/// Selects a page of orders: those that match, and the last one that was looked at. The rows come
/// one by one from an index, so that the statement ends with the page. The names are joined last.
///
/// Only one index has the order of a range, because a hero in an array of one, unlike a hero, counts
/// as part of the order. Otherwise the planner might go through all orders by id, whose other heroes
/// may be millions.
macro_rules! orders {
    ($name:literal, $range:literal, $order:literal) => {
        concat! {
            "/* ", $name, " */
             select ", order_view_columns!(), ", orders.matches, orders.nth
             from (
                 select * from (
                     select orders.*, row_number() over (order by ", $order, ") as nth,
                         orders.deleted_time is null
                         and (cardinality($1::int2[]) = 0 or orders.status = any($1))
                         and ($2::bigint is null or orders.meal_id = $2)
                         and ($3::timestamptz is null or orders.order_time >= $3)
                         and ($4::timestamptz is null or orders.order_time < $4) as matches
                     from orders where ", $range, "
                     order by ", $order, " limit $6
                 ) as orders
                 where orders.matches or orders.nth = $6
                 order by ", $order, " limit $5
             ) as orders", names_joined!(), "order by ", $order
        }
    };
}

#[async_trait]
impl Reading for Postgres {
    async fn order(&self, id: OrderId) -> Result<Option<ViewedOrder>> {
        let rows = self.read(|| sqlx::query(one_order!("$1")).bind(id.get()));
        only(&rows.await?, viewed_order)
    }

    async fn orders(&self, filter: &OfHero<ListOrders>) -> Result<Page<OrderView>> {
        let command = &filter.command;
        let (from, to) = OrderRange::times(filter);
        let ids = (self.first_since(from).await?, self.first_since(to).await?);
        let range = OrderRange::of(filter, self.low_watermark.get(), ids);
        let status: Vec<i16> = command.status.iter().map(|status| status.code()).collect();
        let rows = self.search(|| {
            let ask = sqlx::query(match range {
                OrderRange::OfHero(..) => orders!(
                    "orders_of_hero",
                    "orders.hero_id = any(array[$7::bigint])
                     and orders.id >= $8 and orders.id < $9",
                    "orders.hero_id, orders.id desc"
                ),
                OrderRange::OfMeal(..) => orders!(
                    "orders_of_meal",
                    "orders.meal_id = any(array[$7::bigint])
                     and orders.id >= $8 and orders.id < $9",
                    "orders.meal_id desc, orders.id desc"
                ),
                OrderRange::All(_) => {
                    orders!("orders", "orders.id >= $7 and orders.id < $8", "orders.id desc")
                }
            });
            let ask = ask
                .bind(&status)
                .bind(command.meal_id.map(i64::from))
                .bind(command.from.map(OffsetDateTime::from))
                .bind(command.to.map(OffsetDateTime::from))
                .bind(limit(command.limit + 1))
                .bind(limit(SEARCHED));
            match range {
                OrderRange::OfHero(id, ids) => ask.bind(id.get()).bind(ids.from).bind(ids.before),
                OrderRange::OfMeal(id, ids) => ask.bind(id.get()).bind(ids.from).bind(ids.before),
                OrderRange::All(ids) => ask.bind(ids.from).bind(ids.before),
            }
        });
        searched(&rows.await?, command.limit, order_view, |view| view.order.id.get())
    }

    async fn totals(&self) -> Result<Totals> {
        self.count_orders().await
    }

    async fn oldest_pending(&self) -> Result<Option<Duration>> {
        let rows = self.read(|| {
            sqlx::query(concat! {
                "/* oldest_pending */
                 select extract(epoch from now() - order_time)::float8 as seconds from orders
                 where id >= $1 and ", claimable!(), "
                 order by id limit 1"
            })
            .bind(self.low_watermark.get().get())
        });
        let seconds: Option<f64> = only(&rows.await?, |row| get(row, "seconds"))?;
        Ok(seconds.map(|seconds| Duration::from_secs_f64(seconds.max(0.0))))
    }

    async fn open_orders(&self, hero_id: HeroId, at_most: usize) -> Result<usize> {
        // An order waits for the answer, so this is a statement of the work.
        let rows = self.rows(|| {
            sqlx::query(concat! {
                "/* open_orders */
                 select count(*) as open from (
                     select from orders
                     where hero_id = $1 and id >= $2 and ", active!(), "
                     limit $3
                 ) as counted"
            })
            .bind(hero_id.get())
            .bind(self.low_watermark.get().get())
            .bind(limit(at_most))
        });
        Ok(only(&rows.await?, |row| parse::<i64, usize>(row, "open"))?.unwrap_or_default())
    }

    async fn deleted_heroes(&self, within: Option<Duration>) -> Result<Vec<HeroId>> {
        let seconds = within.map(|within| within.as_secs_f64());
        let rows = self.read(|| {
            sqlx::query(
                "/* deleted_heroes */ select id from heroes
                 where deleted_time > coalesce(now() - make_interval(secs => $1), '-infinity')",
            )
            .bind(seconds)
        });
        rows.await?.iter().map(|row| parse::<i64, HeroId>(row, "id")).collect()
    }

    async fn snapshots(&self, requests: &[SnapshotRequest]) -> Result<Vec<Option<Snapshot>>> {
        self.read_snapshots(requests).await
    }

    async fn changes(&self, requests: &[ChangesRequest]) -> Result<Vec<Changes>> {
        // Read before the statement, whose snapshot must be newer: see [`super::settled`].
        let low_watermark = self.settled.get();
        let heroes: Vec<i64> = requests.iter().map(|request| request.hero_id.get()).collect();
        let positions: Vec<i64> = requests.iter().map(|request| request.since.position).collect();
        let from: Vec<i64> = requests.iter().map(|request| request.from(low_watermark)).collect();
        let after: Vec<i64> =
            requests.iter().map(|request| request.after.map_or(0, i64::from)).collect();
        let rows = self.read(|| {
            sqlx::query(concat! {
                "/* changes */
                 select asked.n, ", clock!(), ", changed.*
                 from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
                     with ordinality as asked(hero_id, since, from_id, after, n)
                 left join lateral (
                     (select ", order_columns!(), ", false as deleted from orders
                      where orders.hero_id = asked.hero_id and orders.id >= asked.from_id
                        and orders.deleted_time is null and ", changed_since!("asked.since"), "
                      order by orders.id limit $5)
                     union all
                     (with gone as materialized (
                          select ", order_columns!(), ", true as deleted from orders
                          where orders.hero_id = asked.hero_id and orders.deleted_time is not null
                            and ", changed_since!("asked.since"), "
                      ) select * from gone where id > asked.after order by id limit $5)
                     order by id limit $5
                 ) as changed on true
                 order by asked.n, changed.id"
            })
            .bind(&heroes)
            .bind(&positions)
            .bind(&from)
            .bind(&after)
            .bind(limit(CHANGES_PAGE + 1))
        });
        let rows = rows.await?;
        let Some(first) = rows.first() else { return Ok(Vec::new()) };
        let cursor = self.cursor(first, low_watermark).await?;
        let read = by_request(&rows, requests.len())?;
        Ok(read.into_iter().map(|read| Changes::page(read, cursor)).collect())
    }

    async fn changes_of_all(
        &self,
        since: ResumeCursor,
        before: Option<OrderId>,
        at_most: usize,
    ) -> Result<ChangesOfAll> {
        let low_watermark = self.settled.get();
        let rows = self.read(|| {
            sqlx::query(concat! {
                "/* changes_of_all */
                 select clock.*, changed.*
                 from (select ", clock!(), ") as clock
                 left join (
                     (select ", order_columns!(), ", false as deleted from orders
                      where orders.id >= $1 and orders.id < $5 and orders.deleted_time is null
                        and ", changed_since!("$2"), "
                      order by orders.id desc limit $3)
                     union all
                     (with gone as materialized (
                          select ", order_columns!(), ", true as deleted from (
                              select orders.*, orders.xmin from orders
                              where orders.deleted_time is not null
                              order by orders.deleted_time desc limit $4
                          ) as orders where ", changed_since!("$2"), "
                      ) select * from gone where id < $5 order by id desc limit $3)
                     order by id desc limit $3
                 ) as changed on true
                 order by changed.id desc"
            })
            .bind(since.low_watermark.min(low_watermark).get())
            .bind(since.position)
            .bind(limit(at_most))
            .bind(limit(MAX_REACH))
            .bind(before.map_or(i64::MAX, OrderId::get))
        });
        let rows = rows.await?;
        let cursor = self.cursor(first(&rows)?, low_watermark).await?;
        let read = rows.iter().filter_map(|row| changed(row).transpose());
        Ok(ChangesOfAll::new(read.collect::<Result<Vec<_>, _>>()?, cursor))
    }

    async fn states(&self, lists: &[Vec<OrderId>]) -> Result<Vec<States>> {
        let asked = || {
            lists.iter().zip(1_i64..).flat_map(|(list, n)| list.iter().map(move |id| (n, id.get())))
        };
        let (numbers, ids): (Vec<i64>, Vec<i64>) = asked().unzip();
        let rows = self.read(|| {
            sqlx::query(concat! {
                "/* states */
                 select asked.n, ", order_columns!(), ", orders.deleted_time is not null as deleted
                 from unnest($1::bigint[], $2::bigint[]) as asked(n, id)
                 join orders on orders.id = asked.id
                 order by asked.n, orders.id"
            })
            .bind(&numbers)
            .bind(&ids)
        });
        let read = by_request(&rows.await?, lists.len())?;
        Ok(read.into_iter().map(States::new).collect())
    }

    async fn present(&self) -> Result<ResumeCursor> {
        let low_watermark = self.settled.get();
        let rows = self.read(|| sqlx::query(concat! {"/* present */ select ", clock!()}));
        let rows = rows.await?;
        self.cursor(first(&rows)?, low_watermark).await
    }

    fn reads_at_once(&self) -> usize {
        self.shares.reads()
    }

    fn cursor_keys(&self) -> &CursorKeys {
        &self.cursor_keys
    }

    async fn read_cursor(&self, text: &str) -> ResumeCursor {
        self.learn_epoch_of(text).await;
        self.cursor_keys.read(text).unwrap_or(ResumeCursor::EXPIRED)
    }
}

impl Postgres {
    /// Returns the smallest id of an order that was placed at this time or later, as if ids and times
    /// rose together.
    async fn first_since(&self, time: Option<Timestamp>) -> Result<Option<i64>> {
        let Some(time) = time else { return Ok(None) };
        let time = OffsetDateTime::from(time);
        let rows = self.read(|| sqlx::query(first_since!("$1")).bind(time));
        only(&rows.await?, |row| get(row, "low"))
    }
}
