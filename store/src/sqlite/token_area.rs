//! Sign-outs of heroes, and tickets.

use std::time::Duration;

use async_trait::async_trait;
use galley_protocol::HeroId;

use super::Sqlite;
use super::statements::now;
use crate::row_values::{only, sign_out, ticket};
use crate::{Result, SignOut, TICKET_LIFE, Ticket, Tokens};

#[async_trait]
impl Tokens for Sqlite {
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

    async fn keep_ticket(&self, digest: &str, ticket: &Ticket) -> Result<()> {
        let now = now();
        let life = i64::try_from(TICKET_LIFE.as_millis()).expect("half a minute");
        let mut batch = self.begin().await?;
        let ended = sqlx::query("/* keep_ticket */ delete from tickets where expires < ?1");
        batch.ask(ended.bind(now)).await?;
        let keep = sqlx::query(
            "/* keep_ticket */
             insert into tickets (digest, hero_id, subject, name, issued, token_expires, origin, expires)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        );
        let keep = keep
            .bind(digest)
            .bind(ticket.hero_id.map(i64::from))
            .bind(ticket.subject.cast_signed())
            .bind(&ticket.name)
            .bind(ticket.issued.map(u64::cast_signed))
            .bind(ticket.token_expires.cast_signed())
            .bind(&ticket.origin)
            .bind(now.saturating_add(life));
        batch.ask(keep).await?;
        batch.commit().await
    }

    async fn take_ticket(&self, digest: &str) -> Result<Option<Ticket>> {
        let ask = sqlx::query(
            "/* take_ticket */
             delete from tickets where digest = ?1
             returning hero_id, subject, name, issued, token_expires, origin, expires >= ?2 as good",
        );
        let rows = self.write(ask.bind(digest).bind(now())).await?;
        Ok(only(&rows, ticket)?.flatten())
    }
}
