//! The epochs of the file, and the keys of its cursors. Every start begins an epoch. A restored
//! copy of the file does not know the epochs that began after the copy was made. Cursors of the
//! last epoch that it knows are valid up to the position at which its next epoch begins.

use galley_protocol::CursorKey;

use super::Sqlite;
use super::maintain::old;
use super::statements::now;
use crate::Result;
use crate::cursor_keys::{Earlier, seed};
use crate::row_values::{get, parse};

/// The most epochs kept. Starts more often than every 90 s make the first cursors invalid early.
const MAX_EPOCHS: i64 = 1_000;

impl Sqlite {
    /// Begins the epoch of this start unless it has begun.
    pub(super) async fn begin_epoch_once(&self) -> Result<()> {
        if self.cursor_keys.are_shared() { Ok(()) } else { self.begin_epoch().await }
    }

    /// Begins an epoch. Cursors of earlier ones stay valid while deletions are kept.
    async fn begin_epoch(&self) -> Result<()> {
        let (epoch, secret) = seed();
        let mut batch = self.begin().await?;
        let begin = sqlx::query(
            "/* begin_epoch */
             insert into cursor_keys (epoch, secret, begun_time, change) select ?1, ?2, ?3, change from watermark",
        );
        batch.ask(begin.bind(epoch).bind(&secret[..]).bind(now())).await?;
        let forget = sqlx::query(
            "/* forget_epochs */
             delete from cursor_keys where number <= (select max(number) from cursor_keys) - ?2
                 or (select next.begun_time from cursor_keys as next where next.number > cursor_keys.number
                     order by next.number limit 1) < ?1",
        );
        batch.ask(forget.bind(old()).bind(MAX_EPOCHS)).await?;
        let keys = batch
            .ask(sqlx::query(
                "/* cursor_keys */
                 select epoch, secret, lead(change) over (order by number) + 1 as last from cursor_keys order by number",
            ))
            .await?;
        let numbers =
            batch.ask(sqlx::query("/* change */ select change, forgotten from watermark")).await?;
        batch.commit().await?;
        for row in &numbers {
            self.position.set(get(row, "change")?, get(row, "forgotten")?);
        }
        let mut earlier = Vec::new();
        for row in &keys {
            let key =
                CursorKey::new(parse::<i64, u32>(row, "epoch")?, &get::<Vec<u8>>(row, "secret")?);
            match get::<Option<i64>>(row, "last")? {
                Some(last) => earlier.push(Earlier { key, last }),
                None => self.cursor_keys.set(key, std::mem::take(&mut earlier)),
            }
        }
        Ok(())
    }
}
