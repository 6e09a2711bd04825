//! Totals at a cost that does not grow with the number of orders. The row of `tally` counts the
//! orders below a mark that follows the low watermark; a query counts only the others.
//!
//! An order below the low watermark can only be deleted, and a deletion subtracts it in the same
//! transaction. All writes use one connection, so no other write comes in between. Forgetting
//! removes only rows that were deleted before, which no total includes.

use galley_protocol::frame::Totals;

use super::Sqlite;
use super::statements::Batch;
use crate::codes::{active_counts, cancelled, completed};
use crate::row_values::totals;
use crate::{Result, StoreError};

/// The most ids of a statement, so that nobody waits long, and the most statements of a call.
const WINDOW: i64 = 10_000;
const STEPS: usize = 100;

impl Sqlite {
    pub(super) async fn count_orders(&self) -> Result<Totals> {
        let rows = self.read(sqlx::query(concat! {
            "/* totals */
             select ", active_counts!(), ",
                 tally.completed
                     + count(*) filter (where status = ", completed!(), ") as completed,
                 tally.cancelled
                     + count(*) filter (where status = ", cancelled!(), ") as cancelled
             from tally left join orders on orders.id >= tally.below and orders.deleted_time is null
             group by tally.one"
        }));
        let rows = rows.await?;
        rows.first().map_or_else(|| Err(StoreError::Failed("the tally is gone".to_owned())), totals)
    }

    /// Moves the mark up to the low watermark.
    pub(super) async fn settle(&self) -> Result<()> {
        for _ in 0..STEPS {
            let moved = sqlx::query(concat! {
                "/* settle */
                 update tally set below = reached, completed = tally.completed + ended.completed,
                     cancelled = tally.cancelled + ended.cancelled
                 from (
                     select min(watermark.floor, mark.below + ?1) as reached,
                         count(*) filter (where orders.status = ", completed!(), ") as completed,
                         count(*) filter (where orders.status = ", cancelled!(), ") as cancelled
                     from watermark, tally as mark
                     left join orders on orders.id >= mark.below
                         and orders.id < min(watermark.floor, mark.below + ?1)
                         and orders.deleted_time is null
                     group by mark.one
                 ) as ended
                 where tally.below < reached
                 returning tally.below"
            });
            if self.write(moved.bind(WINDOW)).await?.is_empty() {
                break;
            }
        }
        Ok(())
    }
}

pub(super) async fn subtract(transaction: &mut Batch<'_>, orders: &str) -> Result<()> {
    let subtract = sqlx::query(concat! {
        "/* subtract */
         update tally set completed = tally.completed - lost.completed,
             cancelled = tally.cancelled - lost.cancelled
         from (
             select count(*) filter (where orders.status = ", completed!(), ") as completed,
                 count(*) filter (where orders.status = ", cancelled!(), ") as cancelled
             from json_each(?1) as asked join orders on orders.id = asked.value ->> 0
             where orders.id < (select below from tally)
         ) as lost
         where lost.completed + lost.cancelled > 0"
    });
    transaction.ask(subtract.bind(orders)).await?;
    Ok(())
}
