//! Brings the schema up to date, and tells whether it is. A schema newer than this program is fine:
//! migrations only add, so that old and new processes run side by side. Folding texts is beyond
//! SQL, and follows the migrations.

use sqlx::migrate::Migrator;
use sqlx::postgres::PgPoolOptions;
use tracing::debug;

use super::Postgres;
use super::session::refusal;
use crate::StoreError;
use crate::migrations::{failure, newest, outdated, tolerant};
use crate::rows::get;

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/postgres");

impl Postgres {
    /// On a connection without time-outs, for a migration takes as long as it takes. An advisory
    /// lock keeps others waiting.
    pub(super) async fn apply_migrations(&self) -> Result<(), StoreError> {
        let single =
            PgPoolOptions::new().max_connections(1).connect_with(self.options.clone()).await;
        let single = single.map_err(|error| refusal(&error))?;
        let applied = tolerant(&MIGRATIONS).run(&single).await;
        single.close().await;
        applied.map_err(|error| failure(&error, refusal))?;
        self.fold_again(None).await?;
        self.check_epoch().await?;
        self.read_floor().await
    }

    pub(super) async fn check_schema(&self) -> Result<(), StoreError> {
        self.check_changes().await?;
        if !self.has_table("_sqlx_migrations").await? {
            return Err(outdated());
        }
        let rows = self.rows(|| {
            sqlx::query(
                "/* schema */
                 select exists (select from _sqlx_migrations where version = $1 and success) as current,
                     pg_is_in_recovery() or current_setting('transaction_read_only')::boolean as read_only",
            )
            .bind(newest(&MIGRATIONS))
        });
        let rows = rows.await?;
        let Some(row) = rows.first() else { return Err(outdated()) };
        if get(row, "read_only")? {
            return Err(self.read_only());
        }
        match get(row, "current")? {
            true if self.cursor_keys.are_shared() => Ok(()),
            // The schema came after this process.
            true => self.check_epoch().await,
            false => Err(outdated()),
        }
    }

    /// Reads the floor and the key of cursors, when they are there already. Without a key, as where
    /// the server takes no change now, the check of the schema reads it later.
    pub(super) async fn read_first(&self) -> Result<(), StoreError> {
        if self.has_table("watermark").await? {
            self.read_floor().await?;
        }
        if self.has_table("cursor_key").await?
            && let Err(error) = self.check_epoch().await
        {
            debug!(%error, "cannot read the key of cursors yet");
        }
        Ok(())
    }

    async fn has_table(&self, name: &str) -> Result<bool, StoreError> {
        let rows = self
            .rows(|| {
                sqlx::query("/* has_table */ select to_regclass($1) is not null as there")
                    .bind(name)
            })
            .await?;
        rows.first().map_or(Ok(false), |row| get(row, "there"))
    }
}
