//! Reads of orders.

use galley_protocol::{ListOrders, OfHero, OrderId, OrderView, PageCursor};

use super::session::json;
use super::{Sqlite, only};
use crate::StoreError;
use crate::requests::ViewedOrder;
use crate::rows::{order_view, order_views, viewed_order};

impl Sqlite {
    pub(super) async fn read_order(&self, id: OrderId) -> Result<Option<ViewedOrder>, StoreError> {
        let rows = self.read(
            sqlx::query(concat!("/* order */ ", order_views!(), "and orders.id = ?1"))
                .bind(id.get()),
        );
        only(&rows.await?, viewed_order)
    }

    pub(super) async fn list_orders(
        &self,
        OfHero { hero_id, command }: &OfHero<ListOrders>,
    ) -> Result<Vec<OrderView>, StoreError> {
        let status: Vec<i16> = command.status.iter().map(|status| status.code()).collect();
        let active_only =
            !status.is_empty() && command.status.iter().all(|status| status.is_active());
        let from = if active_only { self.floor.get().get() } else { 1 };
        let ask = match hero_id {
            Some(_) => sqlx::query(concat!(
                "/* orders_of_hero */ ",
                order_views!(),
                "and orders.id >= ?1 and orders.id < ?2 and (?3 = '[]' or orders.status in (select value from json_each(?3)))
                 and (?4 is null or orders.meal_id = ?4) and orders.hero_id = ?6
                 order by orders.id desc limit ?5"
            )),
            None => sqlx::query(concat!(
                "/* orders */ ",
                order_views!(),
                "and orders.id >= ?1 and orders.id < ?2 and (?3 = '[]' or orders.status in (select value from json_each(?3)))
                 and (?4 is null or orders.meal_id = ?4)
                 order by orders.id desc limit ?5"
            )),
        };
        let ask = ask
            .bind(from)
            .bind(command.cursor.map_or(i64::MAX, PageCursor::get))
            .bind(json(&status))
            .bind(command.meal_id.map(i64::from))
            .bind(i64::try_from(command.limit).unwrap_or(i64::MAX));
        let ask = match hero_id {
            Some(hero_id) => ask.bind(hero_id.get()),
            None => ask,
        };
        self.read(ask).await?.iter().map(order_view).collect()
    }
}
