//! The sign-outs of heroes.

use std::time::Duration;

use async_trait::async_trait;
use galley_protocol::HeroId;
use sqlx::postgres::PgRow;

use super::Postgres;
use crate::row_values::{only, parse};
use crate::{Result, SignOut, SigningOut};

#[async_trait]
impl SigningOut for Postgres {
    async fn sign_out(&self, hero_id: HeroId) -> Result<Option<SignOut>> {
        let rows = self.change(|| {
            sqlx::query(
                "/* sign_out */
                 insert into sign_outs (hero_id, time)
                 select id, now() from heroes where id = $1 and deleted_time is null
                 on conflict (hero_id) do update set time = greatest(sign_outs.time, excluded.time)
                 returning hero_id, floor(extract(epoch from time))::bigint as second",
            )
            .bind(hero_id.get())
        });
        only(&rows.await?, sign_out)
    }

    async fn sign_outs(&self, within: Duration) -> Result<Vec<SignOut>> {
        let rows = self.read(|| {
            sqlx::query(
                "/* sign_outs */
                 select hero_id, floor(extract(epoch from time))::bigint as second
                 from sign_outs where time > now() - make_interval(secs => $1)",
            )
            .bind(within.as_secs_f64())
        });
        rows.await?.iter().map(sign_out).collect()
    }
}

fn sign_out(row: &PgRow) -> Result<SignOut> {
    let hero_id = parse::<i64, HeroId>(row, "hero_id")?;
    Ok(SignOut { hero_id, second: parse::<i64, u64>(row, "second")? })
}
