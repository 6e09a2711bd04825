//! Totals at a cost that does not grow with the number of orders. The row of `tally` counts the
//! orders below a mark that follows the low watermark; a query counts only the others.
//!
//! The row and the orders agree in every snapshot, because every commit that changes one of them
//! changes the other:
//!
//! - *Moving the mark* ([`Postgres::settle`]) locks the row first and counts in a second statement,
//!   whose snapshot is taken while the lock is held. An order below the low watermark can only be
//!   deleted.
//! - *Deleting* (`delete_orders`) locks its orders first and the row second, and subtracts the
//!   orders below the mark. The lock returns the newest mark, even if that is newer than the
//!   statement's snapshot.
//!
//! If a deletion gets the row first, it sees the old mark. It does not subtract orders at or above
//! that mark, and these are not counted either, because the count begins after the deletion has
//! committed. If a deletion gets the row second, it sees the new mark, and subtracts orders that
//! the count included because it could not see the deletion. Nobody who holds the row waits for an
//! order, so the two cannot deadlock. Forgetting removes only rows that were deleted before, which
//! no total includes.

use galley_protocol::frame::Totals;

use super::Postgres;
use crate::codes::{active_counts, cancelled, completed};
use crate::row_values::totals;
use crate::{Result, StoreError};

/// The most moves of one call, each over at most 20,000 ids. The next call does the remainder.
const STEPS: usize = 100;

impl Postgres {
    pub(super) async fn count_orders(&self) -> Result<Totals> {
        let rows = self.read(|| {
            sqlx::query(concat! {
                "/* totals */
                 select counts.* from tally, lateral (
                     select ", active_counts!(), ",
                         tally.completed
                             + count(*) filter (where status = ", completed!(), ") as completed,
                         tally.cancelled
                             + count(*) filter (where status = ", cancelled!(), ") as cancelled
                     from orders where id >= tally.below and deleted_time is null
                 ) as counts"
            })
        });
        let rows = rows.await?;
        rows.first().map_or_else(|| Err(StoreError::Failed("the tally is gone".to_owned())), totals)
    }

    /// Moves the mark up to the low watermark. Both statements are sent in one message, which the
    /// server runs as one transaction: it never waits for this process while it holds the lock.
    pub(super) async fn settle(&self) -> Result<()> {
        for _ in 0..STEPS {
            let rows = self.rows(|| {
                sqlx::raw_sql(concat! {
                    "/* settle */
                     select from tally for update;
                     update tally set below = reached.id,
                         completed = tally.completed + ended.completed,
                         cancelled = tally.cancelled + ended.cancelled
                     from (select least(watermark.floor, tally.below + 20000) as id
                           from watermark, tally) as reached,
                     lateral (
                         select count(*) filter (where status = ", completed!(), ") as completed,
                             count(*) filter (where status = ", cancelled!(), ") as cancelled
                         from orders
                         where id >= (select below from tally) and id < reached.id
                           and deleted_time is null
                     ) as ended
                     where tally.below < reached.id
                     returning tally.below"
                })
            });
            // The first row is the locked one; a second row means that the mark moved.
            if rows.await?.len() < 2 {
                break;
            }
        }
        Ok(())
    }
}
