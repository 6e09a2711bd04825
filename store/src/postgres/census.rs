//! The census: the living publishers and subscribers of all processes on this database, and the
//! cursor of that moment.

use sqlx::postgres::PgRow;
use tokio::time::timeout;

use super::Postgres;
use super::liveness::{HEARING, PROBE, PUBLISHER, SIGNING};
use super::rows::clock;
use super::server_processes::Look;
use crate::row_values::{Columns, get};
use crate::{Result, StoreError, Trouble};

impl Postgres {
    /// Asks on the liveness connection: living processes, and this process's transactions.
    pub(super) async fn look(&self) -> Result<Vec<PgRow>> {
        let asked = self.backends.pids();
        let pids: Vec<i32> = asked.iter().copied().collect();
        // Versions of PostgreSQL spell the names of wait events differently.
        let rows = self.alive(|| {
            sqlx::query(concat! {
                "/* census */
                 with backends as materialized (
                     select pid, pid || ' ' || xact_start as transaction, state, wait_event,
                         pid = any($3) as own
                     from pg_stat_activity
                     where datname = current_database()
                       and application_name = current_setting('application_name')
                 )
                 select ", clock!(), ", watermark.floor,
                     pg_snapshot_xmax(pg_current_snapshot())::text::bigint as xmax,
                     pg_is_in_recovery()
                         or current_setting('transaction_read_only')::boolean as read_only,
                     array(select pid::text from backends where own) as present,
                     array(select transaction from backends
                           where own and state = 'active' and transaction is not null) as active,
                     array(select transaction from backends
                           where lower(wait_event) in ('syncrep', 'walsync', 'walwrite')
                             and transaction is not null) as waiting,
                     lock.class, lock.number
                 from watermark left join (
                     select classid::bigint as class, objid::bigint as number from pg_locks
                     where locktype = 'advisory' and granted and objsubid = 2
                       and classid::bigint in ($1, $2, $4)
                       and database =
                           (select oid from pg_database where datname = current_database())
                 ) as lock on true"
            })
            .bind(i64::from(PUBLISHER))
            .bind(i64::from(HEARING))
            .bind(&pids)
            .bind(i64::from(SIGNING))
        });
        let rows = rows.await?;
        let first = rows.first().ok_or_else(nothing)?;
        let set = |column| first.texts(column).map(|names| names.into_iter().collect());
        let present = first.texts("present")?.iter().filter_map(|pid| pid.parse().ok()).collect();
        self.judge(
            Look { asked, present, active: set("active")?, waiting: set("waiting")? },
            get(first, "read_only")?,
        )
        .await?;
        Ok(rows)
    }

    /// Notes whether the server accepts changes, and if it did not, tests whether it does again.
    async fn judge(&self, look: Look, is_read_only: bool) -> Result<()> {
        if self.backends.note(look) {
            self.outage.note(&StoreError::Trouble(
                Trouble::Stalled,
                "a commit waits for a standby or a disk".to_owned(),
            ));
        }
        if is_read_only {
            self.leave_server().await;
            return Err(self.read_only());
        }
        if self.outage.stops_changes().is_some() {
            drop(timeout(PROBE, self.check_changes()).await);
        }
        Ok(())
    }

    /// Notes that the server is read-only: new connections may reach another server.
    pub(super) fn read_only(&self) -> StoreError {
        self.backends.suspect();
        let error = StoreError::Trouble(
            Trouble::ReadOnly,
            "a standby, or read-only by its settings".to_owned(),
        );
        self.outage.note(&error);
        error
    }
}

pub(super) fn nothing() -> StoreError {
    StoreError::Failed("the watermark is gone".to_owned())
}
