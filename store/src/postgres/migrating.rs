//! Runs the migrations, one process at a time.
//!
//! An index on a table that may be large is made `concurrently`, or writers would wait for it. Such
//! a statement waits for every statement that is running. A process that waits for its turn must
//! therefore not wait within a statement: it asks for the lock again and again. If making such an
//! index is interrupted, an invalid one is left, which the next process drops.

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _, SqlSafeStr as _,
};
use tokio::time::sleep;

use super::Postgres;
use super::statements::{NO_LIMITS, prepare, refusal};
use crate::migrations::{failure, tolerant};
use crate::{Result, STATEMENT_TIMEOUT};

pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/postgres");

/// The advisory lock of those who migrate: its class, and its number within the class.
const LOCK: (i32, i32) = (i32::from_be_bytes(*b"GALM"), 0);
const PAUSE: Duration = Duration::from_millis(200);

/// The index of an early migration that is left out there, and made concurrently by a later one.
/// The file is as it was: its checksum is in every database.
const MADE_LATER: &str =
    "create index orders_deleted_lately on orders (deleted_time) where deleted_time is not null;";

impl Postgres {
    /// Uses a connection without time-outs, because a migration may take any time.
    pub(super) async fn run_migrations(&self) -> Result<()> {
        let found = self.search.find(STATEMENT_TIMEOUT).await;
        let mut connection = found.map_err(|none| none.running)?;
        let begun = async {
            prepare(&mut connection, NO_LIMITS).await?;
            while !lock(&mut connection).await? {
                sleep(PAUSE).await;
            }
            drop_invalid_indexes(&mut connection).await
        };
        begun.await.map_err(|error| refusal(&error))?;
        let migrated = migrations().run_direct(None, &mut connection, false).await;
        drop(connection.close().await);
        migrated.map_err(|error: MigrateError| failure(&error, refusal))
    }
}

fn migrations() -> Migrator {
    let mut changed = tolerant(&MIGRATIONS);
    for migration in changed.migrations.to_mut() {
        if migration.sql.as_str().contains(MADE_LATER) {
            let sql = migration.sql.as_str().replace(MADE_LATER, "");
            migration.sql = AssertSqlSafe(sql).into_sql_str();
        }
    }
    changed.set_locking(false);
    changed
}

async fn lock(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let ask = sqlx::query("/* lock_migrations */ select pg_try_advisory_lock($1, $2) as locked");
    ask.bind(LOCK.0).bind(LOCK.1).fetch_one(connection).await?.try_get("locked")
}

async fn drop_invalid_indexes(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    for migration in MIGRATIONS.iter() {
        let (_, after) = migration
            .sql
            .as_str()
            .split_once("index concurrently if not exists ")
            .unwrap_or_default();
        let Some(name) = after.split_whitespace().next() else { continue };
        let invalid = sqlx::query(
            "/* invalid_index */
             select from pg_index where indexrelid = to_regclass($1) and not indisvalid",
        );
        if invalid.bind(name).fetch_optional(&mut *connection).await?.is_some() {
            let drop_it = format!("/* drop_index */ drop index concurrently {name}");
            connection.execute(sqlx::raw_sql(AssertSqlSafe(drop_it))).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{MADE_LATER, MIGRATIONS, migrations};

    #[test]
    fn the_index_that_is_made_later_is_left_out_once_and_no_checksum_changes() {
        let has_it =
            |migration: &&sqlx::migrate::Migration| migration.sql.as_str().contains(MADE_LATER);
        assert_eq!(MIGRATIONS.iter().filter(has_it).count(), 1);
        assert_eq!(migrations().iter().filter(has_it).count(), 0);
        for (one, other) in MIGRATIONS.iter().zip(migrations().iter()) {
            assert_eq!(one.checksum, other.checksum);
        }
    }
}
