//! Reads orders and changes since a cursor. One statement per request reads orders and deletions,
//! so that each order is either in the one list or in the other. The position is read before.
//!
//! Orders are found by id from the cursor's low watermark on. Deletions have their own indexes,
//! because orders below the low watermark can still be deleted. The statements name these indexes.
//! Otherwise the planner scans all orders by id until it has found enough deletions.

use async_trait::async_trait;
use galley_protocol::frame::Totals;
use galley_protocol::{
    HeroId, ListOrders, OfHero, OrderId, OrderView, PageCursor, ResumeCursor, Timestamp,
};

use super::Sqlite;
use super::rows::changed;
use super::statements::{READERS, json, now};
use crate::change_pages::{CHANGES_PAGE, Changes, ChangesOfAll, ChangesRequest, States};
use crate::codes::active;
use crate::cursor_keys::CursorKeys;
use crate::requests::{ViewedOrder, first_id};
use crate::row_values::{limit, only, order_columns, order_view, order_views, parse, viewed_order};
use crate::snapshot::{Snapshot, SnapshotRequest};
use crate::{Reading, Result, StoreError};

/// Selects a page of orders; `$hero` may restrict it to one hero.
macro_rules! orders {
    ($name:literal, $hero:literal) => {
        concat! {
            "/* ", $name, " */ ", order_views!(), "and orders.id >= ?1 and orders.id < ?2
                 and (?3 = '[]' or orders.status in (select value from json_each(?3)))
                 and (?4 is null or orders.meal_id = ?4)", $hero, "
             order by orders.id desc limit ?5"
        }
    };
}

#[async_trait]
impl Reading for Sqlite {
    async fn order(&self, id: OrderId) -> Result<Option<ViewedOrder>> {
        let ask = sqlx::query(concat! {"/* order */ ", order_views!(), "and orders.id = ?1"});
        only(&self.read(ask.bind(id.get())).await?, viewed_order)
    }

    async fn orders(
        &self,
        OfHero { hero_id, command }: &OfHero<ListOrders>,
    ) -> Result<Vec<OrderView>> {
        let status: Vec<i16> = command.status.iter().map(|status| status.code()).collect();
        let ask = sqlx::query(match hero_id {
            Some(_) => orders!("orders_of_hero", " and orders.hero_id = ?6"),
            None => orders!("orders", ""),
        });
        let ask = ask
            .bind(first_id(command, self.low_watermark.get()))
            .bind(command.cursor.map_or(i64::MAX, PageCursor::get))
            .bind(json(&status))
            .bind(command.meal_id.map(i64::from))
            .bind(limit(command.limit));
        let ask = match hero_id {
            Some(hero_id) => ask.bind(hero_id.get()),
            None => ask,
        };
        self.read(ask).await?.iter().map(order_view).collect()
    }

    async fn totals(&self) -> Result<Totals> {
        self.count_orders().await
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

    async fn snapshots(&self, requests: &[SnapshotRequest]) -> Result<Vec<Option<Snapshot>>> {
        self.read_snapshots(requests).await
    }

    async fn changes(&self, requests: &[ChangesRequest]) -> Result<Vec<Changes>> {
        let cursor = self.now()?;
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
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
                .bind(request.since.position)
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
        READERS as usize
    }

    fn cursor_keys(&self) -> &CursorKeys {
        &self.cursor_keys
    }

    async fn read_cursor(&self, text: &str) -> ResumeCursor {
        self.cursor_keys.read(text).unwrap_or(ResumeCursor::EXPIRED)
    }
}

impl Sqlite {
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
