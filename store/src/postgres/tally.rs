//! Totals that cost the same however many orders there are: the row of `tally` counts those below a
//! mark that lags behind the low watermark, and only the others are counted when somebody asks.
//!
//! The row and the orders agree in every snapshot, for whatever changes one of them changes the
//! other in the same commit:
//!
//! - *Moving the mark* ([`Postgres::settle`]) locks the row first and counts in a statement after
//!   that, with a snapshot taken when the lock was held. Nothing can happen to an order below the
//!   low watermark but being deleted.
//! - *Deleting* (`delete_orders`) locks its orders first and the row after that, and subtracts the
//!   orders that are below the mark. Locking tells the newest mark, even one that is younger than
//!   the statement's snapshot.
//!
//! A deletion that gets the lock first meets the old mark: what is not below it is not subtracted,
//! and not counted either, for the count begins after the deletion has committed. A deletion that
//! gets the lock second meets the new mark, and subtracts what the count, which could not see it,
//! has counted. Nobody who holds the row waits for an order, so that the two cannot deadlock.
//! Forgetting takes rows away that were deleted before, and no total knows of them.

use galley_protocol::frame::Totals;

use super::Postgres;
use crate::StoreError;
use crate::codes::{active_counts, cancelled, completed};
use crate::row_values::totals;

/// How many moves one call makes, each of at most 20,000 ids; the rest waits for the next.
const STEPS: usize = 100;

impl Postgres {
    pub(super) async fn count_orders(&self) -> Result<Totals, StoreError> {
        let rows = self.rows(|| {
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

    /// Moves the mark up to the low watermark. Two statements in one message, which the server runs as one
    /// transaction: it never waits for this process with the lock in its hands.
    pub(super) async fn settle(&self) -> Result<(), StoreError> {
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
            // The row that was locked, and the same row if it was changed.
            if rows.await?.len() < 2 {
                break;
            }
        }
        Ok(())
    }
}
