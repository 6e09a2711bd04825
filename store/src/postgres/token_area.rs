//! Sign-outs of heroes, and tickets.

use std::time::Duration;

use async_trait::async_trait;
use galley_protocol::HeroId;

use super::Postgres;
use crate::row_values::{only, sign_out, ticket};
use crate::{Result, SignOut, TICKET_LIFE, Ticket, Tokens};

#[async_trait]
impl Tokens for Postgres {
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

    async fn keep_ticket(&self, digest: &str, ticket: &Ticket) -> Result<()> {
        let kept = self.change(|| {
            sqlx::query(
                "/* keep_ticket */
                 with ended as (delete from tickets where expires < now())
                 insert into tickets (digest, hero_id, subject, name, issued, token_expires, origin, expires)
                 values ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8))",
            )
            .bind(digest)
            .bind(ticket.hero_id.map(i64::from))
            .bind(ticket.subject.cast_signed())
            .bind(&ticket.name)
            .bind(ticket.issued.map(u64::cast_signed))
            .bind(ticket.token_expires.cast_signed())
            .bind(&ticket.origin)
            .bind(TICKET_LIFE.as_secs_f64())
        });
        kept.await.map(|_| ())
    }

    async fn take_ticket(&self, digest: &str) -> Result<Option<Ticket>> {
        let rows = self.change(|| {
            sqlx::query(
                "/* take_ticket */
                 delete from tickets where digest = $1
                 returning hero_id, subject, name, issued, token_expires, origin, expires >= now() as good",
            )
            .bind(digest)
        });
        let rows = rows.await?;
        Ok(only(&rows, ticket)?.flatten())
    }
}
