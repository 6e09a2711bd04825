//! Takes over orders whose owner is dead: whose incarnation holds no advisory lock.
//!
//! Locks vanish all at once when the database restarts or its connections are cut, while their
//! holders live on. So nobody is judged dead by one who is not seen alive itself, and for [`CALM`]
//! after such an upset nobody is judged at all. (A server that began in a time to come has had its
//! clock set back.) A wrong judgement would cost no order, for the owner is in the guard of every
//! write, but an adoption too many.

use galley_protocol::{IncarnationId, Reason};

use super::Postgres;
use super::claim::claimed;
use super::liveness::{CALM, INCARNATION};
use super::rows::{due_in, moment};
use crate::requests::Claimed;
use crate::rows::order_columns;
use crate::{MAX_ADOPTIONS, StoreError};

impl Postgres {
    pub(super) async fn adopt_orders(
        &self,
        owner: IncarnationId,
        limit: usize,
    ) -> Result<Vec<Claimed>, StoreError> {
        let calm = self.liveness.is_calm();
        let rows = self.change(|| {
            sqlx::query(concat!(
                "/* adopt_orders */
                 with living as materialized (
                     select objid::bigint as incarnation from pg_locks
                     where locktype = 'advisory' and granted and objsubid = 2 and classid::bigint = $4
                       and database = (select oid from pg_database where datname = current_database())
                 ), judge as materialized (
                     select $5 and pg_postmaster_start_time() not between clock_timestamp() - make_interval(secs => $6::float8) and clock_timestamp()
                         and $1 in (select incarnation from living) as may_judge
                 ), orphans as materialized (
                     select orders.id, owner is null as handed_back, owner is null or adoptions < $7 as adoptable from orders, judge
                     where orders.id >= $2 and status = 1
                       and (owner is null
                            or judge.may_judge and owner <> $1 and owner <> all (array(select incarnation from living)))
                     order by orders.id limit $3 for update of orders skip locked
                 )
                 update orders set
                     status = case when adoptable then 1 else 3 end,
                     version = case when adoptable then version else version + 1 end,
                     owner = case when adoptable then $1 end,
                     due_at = case when adoptable then due_at end,
                     adoptions = case when adoptable and not handed_back then adoptions + 1 else adoptions end,
                     reason = case when adoptable then null else $8::int2 end,
                     message = case when adoptable then null else $9 end,
                     completed_time = case when adoptable then null else greatest(",
                moment!(),
                ", started_time) end
                 from orphans where orders.id = orphans.id and orders.status = 1
                 returning ",
                due_in!(),
                ", ",
                order_columns!()
            ))
            .bind(owner.get())
            .bind(self.floor.get().get())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .bind(i64::from(INCARNATION))
            .bind(calm)
            .bind(CALM.as_secs_f64())
            .bind(MAX_ADOPTIONS)
            .bind(Reason::Undeliverable.code())
            .bind(Reason::Undeliverable.message())
        });
        rows.await?.iter().map(claimed).collect()
    }
}
