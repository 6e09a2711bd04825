//! The findings of `galley doctor` about the server, and the rights on its tables.

use std::time::Instant;

use galley_protocol::finding::Finding;

use super::Postgres;
use super::census::nothing;
use crate::Result;
use crate::row_values::get;

/// The oldest version that Galley is tested with.
const OLDEST: i32 = 140_000;

impl Postgres {
    pub(super) async fn inspect(&self) -> Result<Vec<Finding>> {
        let asked = Instant::now();
        let rows = self.read(|| {
            sqlx::query(
                "/* inspect */
                 select current_setting('server_version') as version,
                     current_setting('server_version_num')::int as number,
                     extract(epoch from clock_timestamp())::float8 as clock,
                     current_setting('max_connections')::int as connections,
                     (select count(*) from pg_stat_activity
                      where backend_type = 'client backend')::int as used,
                     current_setting('fsync') = 'on'
                         and current_setting('full_page_writes') = 'on' as durable,
                     current_setting('synchronous_commit') as commits,
                     (select count(*) from pg_stat_replication)::int as standbys,
                     coalesce((
                         select string_agg(relname, ', ' order by relname) from pg_class
                         where relkind = 'r' and relnamespace = current_schema()::regnamespace
                           and not (has_table_privilege(oid, 'select')
                               and (relname like '\\_sqlx%'
                                   or has_table_privilege(oid, 'insert')
                                       and has_table_privilege(oid, 'update')
                                       and has_table_privilege(oid, 'delete')))
                     ), '') as denied",
            )
        });
        let rows = rows.await?;
        let row = rows.first().ok_or_else(nothing)?;
        let clock = Finding::of_server_clock("database clock", get(row, "clock")?, asked);
        let (version, number): (String, i32) = (get(row, "version")?, get(row, "number")?);
        let (most, used): (i32, i32) = (get(row, "connections")?, get(row, "used")?);
        let own = i32::try_from(self.shares.connections()).unwrap_or(i32::MAX);
        let (durable, commits): (bool, String) = (get(row, "durable")?, get(row, "commits")?);
        let standbys: i32 = get(row, "standbys")?;
        let denied: String = get(row, "denied")?;
        let allowed = denied.is_empty();
        Ok(vec![
            Finding::new(
                "database version",
                version,
                number >= OLDEST,
                "use PostgreSQL 14 or newer",
            ),
            clock,
            Finding::new(
                "database rights",
                if allowed { "all tables".to_owned() } else { format!("not on {denied}") },
                allowed,
                "grant select, insert, update and delete on these tables to this user",
            ),
            Finding::new(
                "database connections",
                format!("{used} of {most} are in use; a process of Galley takes up to {own} more"),
                most - used > own,
                "raise max_connections, or lower GALLEY_DATABASE_CONNECTIONS",
            ),
            Finding::new(
                "database durability",
                if durable {
                    format!("synchronous_commit is {commits}")
                } else {
                    "fsync is off".to_owned()
                },
                durable && commits != "off",
                "turn fsync, full_page_writes and synchronous_commit on: a crash of the server loses accepted orders",
            ),
            Finding {
                name: "database replication",
                detail: match standbys {
                    0 => "no standby is connected, as far as this user may see".to_owned(),
                    1 => "1 standby is connected".to_owned(),
                    many => format!("{many} standbys are connected"),
                },
                advice: None,
            },
        ])
    }
}
