//! Takes PENDING orders: looks at hero, meal and allergies, and sets what comes of it, in one
//! statement.

use std::time::Duration;

use galley_protocol::text::MAX_TEXT;
use galley_protocol::{IncarnationId, Reason};
use sqlx::sqlite::SqliteRow;

use super::Sqlite;
use super::session::{Ask, json, next_change, now};
use crate::StoreError;
use crate::requests::{Claim, ClaimFrom, Claimed};
use crate::rows::{get, order, order_columns};

/// Goes on from `chosen`. ?1 and ?2 are taken by it, ?3 is the time, ?4 the owner, ?5 and ?6 the
/// delay in milliseconds.
macro_rules! claim_chosen {
    () => {
        concat!(
            "), judged as materialized (
                 select chosen.id, heroes.id is null as hero_gone, meals.id is null as meal_gone,
                     max(?3, chosen.order_time) as moment,
                     case when heroes.allergies_folded <> '[]' then
                         (select group_concat(entry.value, ', ' order by entry.key)
                          from json_each(meals.ingredients) as entry
                          join json_each(meals.ingredients_folded) as folded on folded.key = entry.key
                          where folded.value in (select value from json_each(heroes.allergies_folded)))
                     end as conflict
                 from chosen
                 left join heroes on heroes.id = chosen.hero_id and heroes.deleted_time is null
                 left join meals on meals.id = chosen.meal_id and meals.deleted_time is null
             ), verdicts as materialized (
                 select id, moment,
                     case when hero_gone then ?7 when meal_gone then ?9 when conflict is not null then ?11 end as reason,
                     case when hero_gone then ?8 when meal_gone then ?10 when conflict is not null then
                         case when length(?12 || conflict) <= ?13 then ?12 || conflict
                              else substr(?12 || conflict, 1, ?13 - 1) || '…' end
                     end as message,
                     not (hero_gone or meal_gone) as started
                 from judged
             )
             update orders set
                 status = iif(verdicts.reason is null, 1, 3),
                 version = iif(verdicts.started and verdicts.reason is not null, 3, 2),
                 reason = verdicts.reason,
                 message = verdicts.message,
                 started_time = iif(verdicts.started, verdicts.moment, null),
                 completed_time = iif(verdicts.reason is not null, verdicts.moment, null),
                 owner = iif(verdicts.reason is null, ?4, null),
                 due_at = iif(verdicts.reason is null, verdicts.moment + ?5 + (random() & 9223372036854775807) % (?6 - ?5 + 1), null),
                 change = ",
            next_change!(),
            "
             from verdicts where orders.id = verdicts.id and orders.status = 0
             returning due_at, ",
            order_columns!()
        )
    };
}

impl Sqlite {
    pub(super) async fn claim_orders(
        &self,
        owner: IncarnationId,
        claim: &Claim<'_>,
    ) -> Result<Vec<Claimed>, StoreError> {
        let now = now();
        let ask = match claim.from {
            ClaimFrom::Entries(ids) => sqlx::query(concat!(
                "/* claim_orders */
                 with chosen as materialized (
                     select id, hero_id, meal_id, order_time from orders
                     where id in (select value from json_each(?1)) and status = 0 order by id limit ?2 ",
                claim_chosen!()
            ))
            .bind(json(&ids))
            .bind(i64::MAX),
            ClaimFrom::Oldest { ids, limit, .. } => sqlx::query(concat!(
                "/* claim_oldest_orders */
                 with chosen as materialized (
                     select id, hero_id, meal_id, order_time from orders
                     where id between ?1 and ?15 and status = 0 and (order_time <= ?14 or order_time > ?16) order by id limit ?2 ",
                claim_chosen!()
            ))
            .bind(self.floor.after(ids.after))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX)),
        };
        let ask = bind_judgement(ask, owner, claim, now);
        let ask = match claim.from {
            ClaimFrom::Entries(_) => ask,
            ClaimFrom::Oldest { ids, age, .. } => {
                // The age of an order from a time to come is not known, for the clock was set back:
                // it counts as old enough.
                let (old, to_come) =
                    (now.saturating_sub(millis(age)), now.saturating_add(millis(age)));
                ask.bind(old).bind(ids.last()).bind(to_come)
            }
        };
        self.change(ask).await?.iter().map(|row| claimed(row, now)).collect()
    }
}

fn bind_judgement<'q>(ask: Ask<'q>, owner: IncarnationId, claim: &Claim<'_>, now: i64) -> Ask<'q> {
    let ask = ask
        .bind(now)
        .bind(owner.get())
        .bind(millis(*claim.delay.start()))
        .bind(millis(*claim.delay.end()));
    [Reason::HeroGone, Reason::MealGone, Reason::Allergy]
        .into_iter()
        .fold(ask, |ask, reason| ask.bind(reason.code()).bind(reason.message()))
        .bind(i64::try_from(MAX_TEXT).unwrap_or(i64::MAX))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Reads an order that was claimed or adopted.
pub(super) fn claimed(row: &SqliteRow, now: i64) -> Result<Claimed, StoreError> {
    let order = order(row)?;
    let due_at: Option<i64> = get(row, "due_at")?;
    // A clock that was set back makes nobody wait for longer than the preparation takes.
    let from = order.started_time.map_or(now, |started| started.millis().max(now));
    let due_in = due_at.map_or(0, |due_at| due_at.saturating_sub(from)).max(0);
    Ok(Claimed { order, due_in: Duration::from_millis(due_in.unsigned_abs()) })
}
