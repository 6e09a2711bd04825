//! Claims PENDING orders in one statement: checks hero, meal and allergies, and sets the outcome.

use std::time::Duration;

use galley_protocol::text::MAX_TEXT;
use galley_protocol::{IncarnationId, Reason};
use sqlx::sqlite::SqliteRow;

use super::Sqlite;
use super::statements::{json, next_change, now};
use crate::Result;
use crate::codes::{allergy, cancelled, claimable, hero_gone, in_progress, meal_gone};
use crate::requests::{Claim, ClaimFrom, Claimed};
use crate::row_values::{get, limit, order, order_columns};

/// The statement of a claim. `$chosen` selects the orders; its parameters begin at ?9. The
/// parameters before: ?1 the time, ?2 the owner, ?3 and ?4 the shortest and the longest delay in
/// milliseconds, ?5 to ?7 the messages for a deleted hero, a deleted meal and an allergy, ?8 the
/// longest message in characters. The mask clears the sign of `random()`.
macro_rules! claim {
    ($name:literal, $chosen:literal) => {
        concat! {
            "/* ", $name, " */
             with chosen as materialized (
                 select id, hero_id, meal_id, order_time from orders
                 where ", claimable!(), " and ", $chosen, "
             ), judged as materialized (
                 select chosen.id, heroes.id is null as hero_gone, meals.id is null as meal_gone,
                     max(?1, chosen.order_time) as moment,
                     case when heroes.allergies_folded <> '[]' then
                         (select group_concat(entry.value, ', ' order by entry.key)
                          from json_each(meals.ingredients) as entry
                          join json_each(meals.ingredients_folded) as folded
                              on folded.key = entry.key
                          where folded.value in
                              (select value from json_each(heroes.allergies_folded)))
                     end as conflict
                 from chosen
                 left join heroes on heroes.id = chosen.hero_id and heroes.deleted_time is null
                 left join meals on meals.id = chosen.meal_id and meals.deleted_time is null
             ), verdicts as materialized (
                 select id, moment,
                     case when hero_gone then ", hero_gone!(), "
                          when meal_gone then ", meal_gone!(), "
                          when conflict is not null then ", allergy!(), " end as reason,
                     case when hero_gone then ?5
                          when meal_gone then ?6
                          when length(?7 || conflict) <= ?8 then ?7 || conflict
                          else substr(?7 || conflict, 1, ?8 - 1) || '…' end as message,
                     not (hero_gone or meal_gone) as started
                 from judged
             )
             update orders set
                 status = iif(verdicts.reason is null, ", in_progress!(), ", ", cancelled!(), "),
                 version = orders.version + iif(verdicts.started and verdicts.reason is not null, 2, 1),
                 reason = verdicts.reason,
                 message = verdicts.message,
                 started_time = iif(verdicts.started, verdicts.moment, null),
                 completed_time = iif(verdicts.reason is not null, verdicts.moment, null),
                 owner = iif(verdicts.reason is null, ?2, null),
                 due_at = iif(verdicts.reason is null, verdicts.moment
                     + ?3 + (random() & 9223372036854775807) % (?4 - ?3 + 1), null),
                 change = ", next_change!(), "
             from verdicts where orders.id = verdicts.id and orders.", claimable!(), "
             returning due_at, ", order_columns!()
        }
    };
}

impl Sqlite {
    /// Claims orders. An order whose time is further ahead than the least age counts as old enough:
    /// the clock was set back, so its age is unknown.
    pub(super) async fn claim_orders(
        &self,
        owner: IncarnationId,
        claim: &Claim<'_>,
    ) -> Result<Vec<Claimed>> {
        let now = now();
        let judge = |statement| {
            sqlx::query(statement)
                .bind(now)
                .bind(owner.get())
                .bind(millis(*claim.delay.start()))
                .bind(millis(*claim.delay.end()))
                .bind(Reason::HeroGone.message())
                .bind(Reason::MealGone.message())
                .bind(Reason::Allergy.message())
                .bind(limit(MAX_TEXT))
        };
        let ask = match claim.from {
            ClaimFrom::Entries(ids) => {
                judge(claim!("claim_orders", "id in (select value from json_each(?9)) order by id"))
                    .bind(json(&ids))
            }
            ClaimFrom::Oldest { ids, age, limit: at_most } => judge(claim!(
                "claim_oldest_orders",
                "id between ?9 and ?10 and (order_time <= ?11 or order_time > ?12)
                 order by id limit ?13"
            ))
            .bind(self.low_watermark.after(ids.after))
            .bind(ids.last())
            .bind(now.saturating_sub(millis(age)))
            .bind(now.saturating_add(millis(age)))
            .bind(limit(at_most)),
        };
        self.change(ask).await?.iter().map(|row| claimed(row, now)).collect()
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn claimed(row: &SqliteRow, now: i64) -> Result<Claimed> {
    let order = order(row)?;
    let due_at: Option<i64> = get(row, "due_at")?;
    // If the clock was set back, the order waits no longer than its preparation takes.
    let from = order.started_time.map_or(now, |started| started.millis().max(now));
    let due_in = due_at.map_or(0, |due_at| due_at.saturating_sub(from)).max(0);
    Ok(Claimed { order, due_in: Duration::from_millis(due_in.unsigned_abs()) })
}
