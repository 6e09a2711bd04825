//! Claims PENDING orders in one statement, after a check of hero, meal and allergies.

use std::time::Duration;

use galley_protocol::text::MAX_TEXT;
use galley_protocol::{IncarnationId, Reason};
use sqlx::postgres::PgRow;

use super::Postgres;
use super::rows::{due_in, moment};
use crate::Result;
use crate::codes::{allergy, cancelled, claimable, hero_gone, in_progress, meal_gone};
use crate::requests::{Claim, ClaimFrom, Claimed};
use crate::row_values::{get, limit, order, order_columns};

/// The statement of a claim. `$chosen` selects the orders to lock; its parameters begin at $8. The
/// parameters before: $1 the owner, $2 and $3 the shortest and the longest delay in seconds, $4 to
/// $6 the messages for a deleted hero, a deleted meal and an allergy, $7 the longest message in
/// characters.
macro_rules! claim {
    ($name:literal, $chosen:literal) => {
        concat! {
            "/* ", $name, " */
             with locked as materialized (
                 select id, hero_id, meal_id, order_time from orders
                 where ", claimable!(), " and ", $chosen, "
             ), judged as materialized (
                 select locked.id, heroes.id is null as hero_gone, meals.id is null as meal_gone,
                     greatest(", moment!(), ", locked.order_time) as moment,
                     case when meals.ingredients_folded && heroes.allergies_folded then
                         (select string_agg(entry.name, ', ' order by entry.n)
                          from unnest(meals.ingredients, meals.ingredients_folded)
                              with ordinality as entry(name, folded, n)
                          where entry.folded = any(heroes.allergies_folded))
                     end as conflict
                 from locked
                 left join heroes on heroes.id = locked.hero_id and heroes.deleted_time is null
                 left join meals on meals.id = locked.meal_id and meals.deleted_time is null
             ), verdicts as materialized (
                 select id, moment,
                     case when hero_gone then ", hero_gone!(), "
                          when meal_gone then ", meal_gone!(), "
                          when conflict is not null then ", allergy!(), " end as reason,
                     case when hero_gone then $4
                          when meal_gone then $5
                          when char_length($6::text || conflict) <= $7 then $6 || conflict
                          else left($6 || conflict, $7 - 1) || '…' end as message,
                     not (hero_gone or meal_gone) as started
                 from judged
             )
             update orders set
                 status = case when verdicts.reason is null
                     then ", in_progress!(), " else ", cancelled!(), " end,
                 version = orders.version
                     + case when verdicts.started and verdicts.reason is not null then 2 else 1 end,
                 reason = verdicts.reason,
                 message = verdicts.message,
                 started_time = case when verdicts.started then verdicts.moment end,
                 completed_time = case when verdicts.reason is not null then verdicts.moment end,
                 owner = case when verdicts.reason is null then $1::bigint end,
                 due_at = case when verdicts.reason is null then verdicts.moment
                     + make_interval(secs => $2::float8 + random() * ($3::float8 - $2::float8)) end
             from verdicts where orders.id = verdicts.id and orders.", claimable!(), "
             returning ", due_in!(), ", ", order_columns!()
        }
    };
}

impl Postgres {
    /// Claims orders. An order whose time is further ahead than the least age counts as old enough:
    /// the clock was set back, so its age is unknown.
    pub(super) async fn claim_orders(
        &self,
        owner: IncarnationId,
        claim: &Claim<'_>,
    ) -> Result<Vec<Claimed>> {
        let rows = self.change(|| {
            let judge = |statement| {
                sqlx::query(statement)
                    .bind(owner.get())
                    .bind(claim.delay.start().as_secs_f64())
                    .bind(claim.delay.end().as_secs_f64())
                    .bind(Reason::HeroGone.message())
                    .bind(Reason::MealGone.message())
                    .bind(Reason::Allergy.message())
                    .bind(i32::try_from(MAX_TEXT).unwrap_or(i32::MAX))
            };
            match claim.from {
                ClaimFrom::Entries(ids) => {
                    judge(claim!("claim_orders", "id = any($8) order by id for update"))
                        .bind(ids.iter().map(|id| id.get()).collect::<Vec<_>>())
                }
                ClaimFrom::Oldest { ids, age, limit: at_most } => judge(claim!(
                    "claim_oldest_orders",
                    "id between $8 and $9
                         and (order_time <= now() - make_interval(secs => $10::float8)
                              or order_time > now() + make_interval(secs => $10::float8))
                     order by id limit $11 for update skip locked"
                ))
                .bind(self.low_watermark.after(ids.after))
                .bind(ids.last())
                .bind(age.as_secs_f64())
                .bind(limit(at_most)),
            }
        });
        rows.await?.iter().map(claimed).collect()
    }
}

pub(super) fn claimed(row: &PgRow) -> Result<Claimed> {
    let due_in: i64 = get(row, "due_in")?;
    Ok(Claimed { order: order(row)?, due_in: Duration::from_millis(due_in.unsigned_abs()) })
}
