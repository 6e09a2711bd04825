//! Reads orders and changes since a cursor. One statement per request reads orders and deletions,
//! so that each order is either in the one list or in the other. The position is read before.
//!
//! Orders are found by id from the cursor's low watermark on. Deletions have their own indexes,
//! because orders below the low watermark can still be deleted. The statements name these indexes.
//! Otherwise the planner scans all orders by id until it has found enough deletions.

use std::num::NonZero;
use std::time::Duration;

use async_trait::async_trait;
use galley_protocol::frame::{Page, Totals};
use galley_protocol::{HeroId, ListOrders, OfHero, OrderId, OrderView, ResumeCursor, Timestamp};

use super::Sqlite;
use super::rows::changed;
use super::statements::{READERS, SqliteQuery, json, now};
use crate::change_pages::{CHANGES_PAGE, Changes, ChangesOfAll, ChangesRequest, States};
use crate::codes::{active, claimable};
use crate::cursor_keys::CursorKeys;
use crate::requests::ViewedOrder;
use crate::row_values::{
    get, limit, names_joined, one_order, only, order_columns, order_view, order_view_columns,
    parse, viewed_order,
};
use crate::searching::{OrderRange, SEARCHED, first_since, page};
use crate::snapshot::{Snapshot, SnapshotRequest};
use crate::{Reading, Result, StoreError};

/// The statement of a page of orders, and that of the last row that it may look at. The rows come
/// from the index one by one, and the innermost select keeps their order: sorting what matches
/// would read all of them for each page. Both have the same parameters: see [`bind`].
macro_rules! orders {
    ($name:literal, $range:literal, $order:literal) => {
        (
            concat! {
                "/* ", $name, " */
                 select ", order_view_columns!(), "
                 from (
                     select id from (
                         select id, status, meal_id, order_time, deleted_time
                         from orders ", $range, "
                         order by ", $order, " limit ?6
                     )
                     where deleted_time is null
                       and (?1 = '[]' or status in (select value from json_each(?1)))
                       and (?2 is null or meal_id = ?2)
                       and (?3 is null or order_time >= ?3) and (?4 is null or order_time < ?4)
                     limit ?5
                 ) as found cross join orders on orders.id = found.id", names_joined!(), "
                 order by ", $order
            },
            concat! {
                "/* ", $name, "_searched */
                 select orders.id from orders ", $range, "
                 order by ", $order, " limit 1 offset ?6 - 1"
            },
        )
    };
}

#[async_trait]
impl Reading for Sqlite {
    async fn order(&self, id: OrderId) -> Result<Option<ViewedOrder>> {
        let ask = sqlx::query(one_order!("?1"));
        only(&self.read(ask.bind(id.get())).await?, viewed_order)
    }

    async fn orders(&self, filter: &OfHero<ListOrders>) -> Result<Page<OrderView>> {
        let command = &filter.command;
        let (from, to) = OrderRange::times(filter);
        let ids = (self.first_since(from).await?, self.first_since(to).await?);
        let range = OrderRange::of(filter, self.low_watermark.get(), ids);
        let (list, end) = match range {
            OrderRange::OfHero(..) => orders!(
                "orders_of_hero",
                "indexed by orders_by_hero
                 where orders.hero_id = ?7 and orders.id >= ?8 and orders.id < ?9",
                "orders.id desc"
            ),
            OrderRange::OfMeal(..) => orders!(
                "orders_of_meal",
                "indexed by orders_by_meal
                 where orders.meal_id = ?7 and orders.id >= ?8 and orders.id < ?9",
                "orders.id desc"
            ),
            OrderRange::All(_) => {
                orders!("orders", "where orders.id >= ?7 and orders.id < ?8", "orders.id desc")
            }
        };
        let limit = command.limit;
        let bind = |sql| bind(sqlx::query(sql), command, range);
        let (rows, searched_to) = self.search(bind(list), limit, bind(end)).await?;
        let matching = rows.iter().map(order_view).collect::<Result<Vec<_>>>()?;
        Ok(page(matching, limit, |view| view.order.id.get(), searched_to))
    }

    async fn totals(&self) -> Result<Totals> {
        self.count_orders().await
    }

    async fn oldest_pending(&self) -> Result<Option<Duration>> {
        let ask = sqlx::query(concat! {
            "/* oldest_pending */
             select order_time from orders
             where id >= ?1 and ", claimable!(), "
             order by id limit 1"
        });
        let rows = self.read(ask.bind(self.low_watermark.get().get())).await?;
        let placed: Option<i64> = only(&rows, |row| get(row, "order_time"))?;
        let age = |placed| u64::try_from(now().saturating_sub(placed)).unwrap_or(0);
        Ok(placed.map(|placed| Duration::from_millis(age(placed))))
    }

    async fn open_orders(&self, hero_id: HeroId, at_most: usize) -> Result<usize> {
        let ask = sqlx::query(concat! {
            "/* open_orders */
             select count(*) as open from (
                 select 1 from orders
                 where hero_id = ?1 and id >= ?2 and ", active!(), "
                 limit ?3
             )"
        });
        let ask = ask.bind(hero_id.get()).bind(self.low_watermark.get().get());
        let rows = self.read(ask.bind(limit(at_most))).await?;
        Ok(only(&rows, |row| parse::<i64, usize>(row, "open"))?.unwrap_or_default())
    }

    async fn deleted_heroes(&self, within: Option<Duration>) -> Result<Vec<HeroId>> {
        let since = within.map_or(i64::MIN, |within| {
            now().saturating_sub(i64::try_from(within.as_millis()).unwrap_or(i64::MAX))
        });
        let ask = sqlx::query("/* deleted_heroes */ select id from heroes where deleted_time > ?1");
        self.read(ask.bind(since))
            .await?
            .iter()
            .map(|row| parse::<i64, HeroId>(row, "id"))
            .collect()
    }

    async fn snapshots(&self, requests: &[SnapshotRequest]) -> Result<Vec<Option<Snapshot>>> {
        self.read_snapshots(requests).await
    }

    async fn changes(&self, requests: &[ChangesRequest]) -> Result<Vec<Changes>> {
        let cursor = self.now()?;
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            // Orders from before the numbers have 0, and no change has.
            let since = if request.since.position <= 1 { 0 } else { request.since.position };
            let ask = sqlx::query(concat! {
                "/* changes */
                 select * from (
                     select ", order_columns!(), ", false as deleted from orders
                     where orders.hero_id = ?1 and orders.id >= ?2
                       and orders.deleted_time is null and orders.change >= ?4
                     order by orders.id limit ?5
                 )
                 union all
                 select * from (
                     select ", order_columns!(), ", true as deleted
                     from orders indexed by orders_deleted
                     where orders.hero_id = ?1 and orders.id > ?3
                       and orders.change >= ?4 and orders.deleted_time is not null
                     order by orders.id limit ?5
                 )
                 order by id limit ?5"
            });
            let ask = ask
                .bind(request.hero_id.get())
                .bind(request.from(cursor.low_watermark))
                .bind(request.after.map_or(0, i64::from))
                .bind(since)
                .bind(limit(CHANGES_PAGE + 1));
            let read = self.read(ask).await?.iter().map(changed).collect::<Result<Vec<_>, _>>()?;
            answers.push(Changes::page(read, cursor));
        }
        Ok(answers)
    }

    async fn changes_of_all(
        &self,
        since: ResumeCursor,
        before: Option<OrderId>,
        at_most: usize,
    ) -> Result<ChangesOfAll> {
        let cursor = self.now()?;
        let ask = sqlx::query(concat! {
            "/* changes_of_all */
             select * from (
                 select ", order_columns!(), ", false as deleted from orders
                 where orders.id >= ?1 and orders.id < ?4
                   and orders.deleted_time is null and orders.change >= ?2
                 order by orders.id desc limit ?3
             )
             union all
             select * from (
                 select ", order_columns!(), ", true as deleted
                 from orders indexed by orders_deleted_by_change
                 where orders.change >= ?2 and orders.id < ?4 and orders.deleted_time is not null
                 order by orders.id desc limit ?3
             )
             order by id desc limit ?3"
        });
        let ask = ask
            .bind(since.low_watermark.min(cursor.low_watermark).get())
            .bind(since.position)
            .bind(limit(at_most))
            .bind(before.map_or(i64::MAX, OrderId::get));
        let read = self.read(ask).await?.iter().map(changed).collect::<Result<Vec<_>, _>>()?;
        Ok(ChangesOfAll::new(read, cursor))
    }

    async fn states(&self, lists: &[Vec<OrderId>]) -> Result<Vec<States>> {
        let mut answers = Vec::with_capacity(lists.len());
        for list in lists {
            let ask = sqlx::query(concat! {
                "/* states */
                 select ", order_columns!(), ", orders.deleted_time is not null as deleted
                 from orders where orders.id in (select value from json_each(?1))
                 order by orders.id"
            });
            let rows = self.read(ask.bind(json(list))).await?;
            answers.push(States::new(rows.iter().map(changed).collect::<Result<Vec<_>, _>>()?));
        }
        Ok(answers)
    }

    async fn present(&self) -> Result<ResumeCursor> {
        self.now()
    }

    fn reads_at_once(&self) -> usize {
        // They run in this process: more than its processors delay all other work.
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        processors.min(READERS as usize)
    }

    fn cursor_keys(&self) -> &CursorKeys {
        &self.cursor_keys
    }

    async fn read_cursor(&self, text: &str) -> ResumeCursor {
        self.cursor_keys.read(text).unwrap_or(ResumeCursor::EXPIRED)
    }
}

/// Binds the parameters of a list: the filters, its limits, and its range from ?7 on.
fn bind<'q>(ask: SqliteQuery<'q>, command: &ListOrders, range: OrderRange) -> SqliteQuery<'q> {
    let status: Vec<i16> = command.status.iter().map(|status| status.code()).collect();
    let ask = ask
        .bind(json(&status))
        .bind(command.meal_id.map(i64::from))
        .bind(command.from.map(Timestamp::millis))
        .bind(command.to.map(Timestamp::millis))
        .bind(limit(command.limit + 1))
        .bind(limit(SEARCHED));
    match range {
        OrderRange::OfHero(id, ids) => ask.bind(id.get()).bind(ids.from).bind(ids.before),
        OrderRange::OfMeal(id, ids) => ask.bind(id.get()).bind(ids.from).bind(ids.before),
        OrderRange::All(ids) => ask.bind(ids.from).bind(ids.before),
    }
}

impl Sqlite {
    /// Returns the smallest id of an order that was placed at this time or later, as if ids and times
    /// rose together.
    async fn first_since(&self, time: Option<Timestamp>) -> Result<Option<i64>> {
        let Some(time) = time else { return Ok(None) };
        let rows = self.read(sqlx::query(first_since!("?1")).bind(time.millis())).await?;
        only(&rows, |row| get(row, "low"))
    }

    /// The cursor of reads that begin from now on.
    pub(super) fn now(&self) -> Result<ResumeCursor> {
        // Read first: every order below it had its last change before the position read after it.
        let low_watermark = self.low_watermark.get();
        let position = self.position.get();
        let time =
            Timestamp::from_millis(now()).map_err(|error| StoreError::Failed(error.to_string()))?;
        Ok(ResumeCursor { time, low_watermark, position })
    }
}
