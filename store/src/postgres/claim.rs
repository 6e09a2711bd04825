//! Takes PENDING orders: locks them, looks at hero, meal and allergies, and sets what comes of it,
//! in one statement.

use std::time::Duration;

use galley_protocol::text::MAX_TEXT;
use galley_protocol::{IncarnationId, OrderId, Reason};
use sqlx::postgres::PgRow;

use super::Postgres;
use super::rows::{due_in, moment};
use super::session::Ask;
use crate::StoreError;
use crate::requests::{Claim, ClaimFrom, Claimed, IdRange};
use crate::rows::{get, order, order_columns};

/// Goes on from `locked`. $1 and $2 are taken by it, $3 is the owner, $4 and $5 the delay in
/// seconds.
macro_rules! claim_locked {
    () => {
        concat!(
            "), judged as materialized (
                 select locked.id, heroes.id is null as hero_gone, meals.id is null as meal_gone,
                     greatest(", moment!(), ", locked.order_time) as moment,
                     case when meals.ingredients_folded && heroes.allergies_folded then
                         (select string_agg(entry.name, ', ' order by entry.n)
                          from unnest(meals.ingredients, meals.ingredients_folded) with ordinality as entry(name, folded, n)
                          where entry.folded = any(heroes.allergies_folded))
                     end as conflict
                 from locked
                 left join heroes on heroes.id = locked.hero_id and heroes.deleted_time is null
                 left join meals on meals.id = locked.meal_id and meals.deleted_time is null
             ), verdicts as materialized (
                 select id, moment,
                     case when hero_gone then $6::int2 when meal_gone then $8::int2 when conflict is not null then $10::int2 end as reason,
                     case when hero_gone then $7 when meal_gone then $9 when conflict is not null then
                         case when char_length($11::text || conflict) <= $12 then $11 || conflict
                              else left($11 || conflict, $12 - 1) || '…' end
                     end as message,
                     not (hero_gone or meal_gone) as started
                 from judged
             )
             update orders set
                 status = case when verdicts.reason is null then 1 else 3 end,
                 version = case when verdicts.started and verdicts.reason is not null then 3 else 2 end,
                 reason = verdicts.reason,
                 message = verdicts.message,
                 started_time = case when verdicts.started then verdicts.moment end,
                 completed_time = case when verdicts.reason is not null then verdicts.moment end,
                 owner = case when verdicts.reason is null then $3::bigint end,
                 due_at = case when verdicts.reason is null
                     then verdicts.moment + make_interval(secs => $4::float8 + random() * ($5::float8 - $4::float8)) end
             from verdicts where orders.id = verdicts.id and orders.status = 0
             returning ", due_in!(), ", ", order_columns!()
        )
    };
}

impl Postgres {
    pub(super) async fn claim_orders(
        &self,
        owner: IncarnationId,
        claim: &Claim<'_>,
    ) -> Result<Vec<Claimed>, StoreError> {
        let rows = match claim.from {
            ClaimFrom::Entries(ids) => self.claim_entries(owner, claim, ids).await?,
            ClaimFrom::Oldest { ids, age, limit } => {
                self.claim_oldest(owner, claim, ids, age, limit).await?
            }
        };
        rows.iter().map(claimed).collect()
    }

    async fn claim_entries(
        &self,
        owner: IncarnationId,
        claim: &Claim<'_>,
        ids: &[OrderId],
    ) -> Result<Vec<PgRow>, StoreError> {
        let ids: Vec<i64> = ids.iter().map(|id| id.get()).collect();
        self.change(|| {
            let ask = sqlx::query(concat!(
                "/* claim_orders */
                 with locked as materialized (
                     select id, hero_id, meal_id, order_time from orders
                     where id = any($1) and status = 0 order by id limit $2 for update ",
                claim_locked!()
            ));
            bind_judgement(ask.bind(&ids).bind(i64::MAX), owner, claim)
        })
        .await
    }

    /// The age of an order from a time to come is not known, for the clock was set back: it counts
    /// as old enough.
    async fn claim_oldest(
        &self,
        owner: IncarnationId,
        claim: &Claim<'_>,
        ids: IdRange,
        age: Duration,
        limit: usize,
    ) -> Result<Vec<PgRow>, StoreError> {
        self.change(|| {
            let ask = sqlx::query(concat!(
                "/* claim_oldest_orders */
                 with locked as materialized (
                     select id, hero_id, meal_id, order_time from orders
                     where id between $1 and $14 and status = 0 and (order_time <= now() - make_interval(secs => $13::float8) or order_time > now() + make_interval(secs => $13::float8))
                     order by id limit $2 for update skip locked ",
                claim_locked!()
            ));
            let ask = ask.bind(self.floor.after(ids.after)).bind(i64::try_from(limit).unwrap_or(i64::MAX));
            bind_judgement(ask, owner, claim).bind(age.as_secs_f64()).bind(ids.last())
        })
        .await
    }
}

fn bind_judgement<'q>(ask: Ask<'q>, owner: IncarnationId, claim: &Claim<'_>) -> Ask<'q> {
    let ask = ask
        .bind(owner.get())
        .bind(claim.delay.start().as_secs_f64())
        .bind(claim.delay.end().as_secs_f64());
    [Reason::HeroGone, Reason::MealGone, Reason::Allergy]
        .into_iter()
        .fold(ask, |ask, reason| ask.bind(reason.code()).bind(reason.message()))
        .bind(i32::try_from(MAX_TEXT).unwrap_or(i32::MAX))
}

/// Reads an order that was claimed or adopted.
pub(super) fn claimed(row: &PgRow) -> Result<Claimed, StoreError> {
    let due_in: i64 = get(row, "due_in")?;
    Ok(Claimed { order: order(row)?, due_in: Duration::from_millis(due_in.unsigned_abs()) })
}
