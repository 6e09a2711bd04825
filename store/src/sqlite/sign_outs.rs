//! The sign-outs of heroes.

use std::time::Duration;

use async_trait::async_trait;
use galley_protocol::HeroId;
use sqlx::sqlite::SqliteRow;

use super::Sqlite;
use super::statements::now;
use crate::row_values::{only, parse};
use crate::{Result, SignOut, SigningOut};

#[async_trait]
impl SigningOut for Sqlite {
    async fn sign_out(&self, hero_id: HeroId) -> Result<Option<SignOut>> {
        let ask = sqlx::query(
            "/* sign_out */
             insert into sign_outs (hero_id, time)
             select id, ?2 from heroes where id = ?1 and deleted_time is null
             on conflict (hero_id) do update set time = max(sign_outs.time, excluded.time)
             returning hero_id, time / 1000 as second",
        );
        only(&self.write(ask.bind(hero_id.get()).bind(now())).await?, sign_out)
    }

    async fn sign_outs(&self, within: Duration) -> Result<Vec<SignOut>> {
        let since = now().saturating_sub(i64::try_from(within.as_millis()).unwrap_or(i64::MAX));
        let ask = sqlx::query(
            "/* sign_outs */
             select hero_id, time / 1000 as second from sign_outs where time > ?1",
        );
        self.read(ask.bind(since)).await?.iter().map(sign_out).collect()
    }
}

fn sign_out(row: &SqliteRow) -> Result<SignOut> {
    let hero_id = parse::<i64, HeroId>(row, "hero_id")?;
    Ok(SignOut { hero_id, second: parse::<i64, u64>(row, "second")? })
}
