//! Adopts, completes and hands back orders. An order's owner is the incarnation of a worker. The
//! owner is dead if its incarnation holds no advisory lock.
//!
//! A restart of the database, or a cut of its connections, releases all locks at once while their
//! holders live on. So a process judges others only while it is seen alive itself, and nobody
//! judges for [`CALM`] after such a loss. (If the server's start lies in the future, its clock was
//! set back.) A wrong judgement would lose no order, because every write is guarded by the owner.
//! It would only cost one adoption too many.

use async_trait::async_trait;
use galley_protocol::{IncarnationId, Order, OrderId, Reason};

use super::Postgres;
use super::claim::claimed;
use super::liveness::{CALM, INCARNATION, lock_of};
use super::rows::{due_in, moment};
use crate::codes::{cancelled, completed, in_progress, undeliverable};
use crate::requests::{Claim, Claimed, Incarnations};
use crate::row_values::{get, limit, order, order_columns, parse};
use crate::{MAX_ADOPTIONS, Result, StoreError, Work};

/// The most orders that one statement hands back, so that it ends well before its time-out.
const HAND_BACK_CHUNK: usize = 5_000;

/// Selects the incarnations that hold their lock; `$class` is the class of these locks.
macro_rules! living {
    ($class:literal) => {
        concat! {
            "select objid::bigint as id from pg_locks
             where locktype = 'advisory' and granted and objsubid = 2
               and classid::bigint = ", $class, "
               and database = (select oid from pg_database where datname = current_database())"
        }
    };
}

#[async_trait]
impl Work for Postgres {
    async fn claim(&self, owner: IncarnationId, claim: Claim<'_>) -> Result<Vec<Claimed>> {
        self.claim_orders(owner, &claim).await
    }

    async fn adopt(&self, owner: IncarnationId, at_most: usize) -> Result<Vec<Claimed>> {
        let calm = self.liveness.is_calm();
        let rows = self.change(|| {
            sqlx::query(concat! {
                "/* adopt_orders */
                 with living as materialized (
                     ", living!("$4"), "
                 ), judge as materialized (
                     select $5 and pg_postmaster_start_time()
                             not between clock_timestamp() - make_interval(secs => $6::float8)
                             and clock_timestamp()
                         and $1 in (select id from living) as may_judge
                 ), orphans as materialized (
                     select orders.id, owner is null as handed_back,
                         owner is null or adoptions < $7 as adoptable
                     from orders, judge
                     where orders.id >= $2 and status = ", in_progress!(), "
                       and (owner is null
                            or judge.may_judge and owner <> $1
                               and owner <> all (array(select id from living)))
                     order by orders.id limit $3 for update of orders skip locked
                 )
                 update orders set
                     status = case when adoptable
                         then ", in_progress!(), " else ", cancelled!(), " end,
                     version = case when adoptable then version else version + 1 end,
                     owner = case when adoptable then $1 end,
                     due_at = case when adoptable then due_at end,
                     adoptions = case when adoptable and not handed_back
                         then adoptions + 1 else adoptions end,
                     reason = case when adoptable then null else ", undeliverable!(), " end,
                     message = case when adoptable then null else $8 end,
                     completed_time = case when adoptable then null
                         else greatest(", moment!(), ", started_time) end
                 from orphans where orders.id = orphans.id and orders.status = ", in_progress!(), "
                 returning ", due_in!(), ", ", order_columns!()
            })
            .bind(owner.get())
            .bind(self.low_watermark.get().get())
            .bind(limit(at_most))
            .bind(i64::from(INCARNATION))
            .bind(calm)
            .bind(CALM.as_secs_f64())
            .bind(MAX_ADOPTIONS)
            .bind(Reason::Undeliverable.message())
        });
        rows.await?.iter().map(claimed).collect()
    }

    async fn complete(&self, owner: IncarnationId, ids: &[OrderId]) -> Result<Vec<Order>> {
        let ids: Vec<i64> = ids.iter().map(|id| id.get()).collect();
        let rows = self.change(|| {
            sqlx::query(concat! {
                "/* complete_orders */
                 with locked as materialized (
                     select id from orders
                     where id = any($1) and status = ", in_progress!(), " and owner = $2
                     order by id for update
                 )
                 update orders set status = ", completed!(), ", version = version + 1,
                     completed_time = greatest(", moment!(), ", started_time),
                     owner = null, due_at = null
                 from locked
                 where orders.id = locked.id and orders.status = ", in_progress!(), "
                   and orders.owner = $2
                 returning ", order_columns!()
            })
            .bind(&ids)
            .bind(owner.get())
        });
        rows.await?.iter().map(order).collect()
    }

    async fn hand_back(&self, owner: IncarnationId) -> Result<u64> {
        // An order that such a statement claims later would not be handed back.
        if self.backends.is_unsettled() {
            return Err(StoreError::Unavailable(
                "the outcome of a statement is not known yet".to_owned(),
            ));
        }
        let mut handed_back = 0;
        loop {
            let rows = self.change(|| {
                sqlx::query(concat! {
                    "/* hand_back_orders */
                     with locked as materialized (
                         select id from orders
                         where id >= $1 and status = ", in_progress!(), " and owner = $2
                         order by id limit $3 for update
                     )
                     update orders set owner = null from locked
                     where orders.id = locked.id and orders.owner = $2
                     returning orders.id"
                })
                .bind(self.low_watermark.get().get())
                .bind(owner.get())
                .bind(limit(HAND_BACK_CHUNK))
            });
            let chunk = rows.await?.len();
            handed_back += chunk as u64;
            if chunk < HAND_BACK_CHUNK {
                return Ok(handed_back);
            }
        }
    }

    /// Takes the lock before anyone can see the number of the incarnation.
    async fn enlist(&self) -> Result<IncarnationId> {
        let rows =
            self.rows(|| sqlx::query("/* enlist */ select nextval('incarnations') as id")).await?;
        let row = rows
            .first()
            .ok_or_else(|| StoreError::Failed("no number for an incarnation".to_owned()))?;
        let id: IncarnationId = parse::<i64, _>(row, "id")?;
        let lock = lock_of(id)?;
        self.liveness.want(lock, true);
        // If this fails, nobody knows the incarnation, and nobody will ask for its lock again.
        self.look().await.inspect_err(|_| self.liveness.want(lock, false))?;
        Ok(id)
    }

    /// Reads the newest incarnation before the locks. An incarnation that had begun by then and
    /// holds no lock may be dead.
    async fn incarnations(&self) -> Result<Incarnations> {
        let rows = self.rows(|| {
            sqlx::query(concat! {
                "/* incarnations */
                 with newest as materialized (
                     select last_value::bigint as id from incarnations where is_called
                 ), living as (
                     ", living!("$1"), "
                 )
                 select newest.id as newest, living.id as living
                 from newest left join living on true"
            })
            .bind(i64::from(INCARNATION))
        });
        let mut known = Incarnations::default();
        for row in &rows.await? {
            known.newest = Some(parse::<i64, _>(row, "newest")?);
            known.living.extend(
                get::<Option<i64>>(row, "living")?.and_then(|id| IncarnationId::new(id).ok()),
            );
        }
        Ok(known)
    }
}
