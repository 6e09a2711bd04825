//! Brings the schema up to date, and tells whether it is.

use sqlx::migrate::Migrator;
use tracing::debug;

use super::Sqlite;
use super::session::refusal;
use crate::StoreError;
use crate::migrations::{failure, newest, outdated, tolerant};
use crate::rows::get;

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/sqlite");

impl Sqlite {
    pub(super) async fn apply_migrations(&self) -> Result<(), StoreError> {
        tolerant(&MIGRATIONS).run(&self.writer).await.map_err(|error| failure(&error, refusal))?;
        self.fold_again().await?;
        self.begin_epoch_once().await?;
        self.read_floor().await
    }

    pub(super) async fn check_schema(&self) -> Result<(), StoreError> {
        self.check_changes().await?;
        if !self.has_table("_sqlx_migrations").await? {
            return Err(outdated());
        }
        let rows = self.read(
            sqlx::query(
                "/* schema */ select 1 from _sqlx_migrations where version = ?1 and success",
            )
            .bind(newest(&MIGRATIONS)),
        );
        if rows.await?.is_empty() { Err(outdated()) } else { self.begin_epoch_once().await }
    }

    /// Reads the floor and begins an epoch, when there are tables for them already. Where the file
    /// takes no change now, the check of the schema begins it later.
    pub(super) async fn read_first(&self) -> Result<(), StoreError> {
        if self.has_table("watermark").await? {
            self.read_floor().await?;
        }
        if self.has_table("cursor_keys").await?
            && let Err(error) = self.begin_epoch_once().await
        {
            debug!(%error, "cannot begin an epoch yet");
        }
        Ok(())
    }

    async fn has_table(&self, name: &str) -> Result<bool, StoreError> {
        let rows = self.read(
            sqlx::query(
                "/* has_table */ select 1 from sqlite_schema where type = 'table' and name = ?1",
            )
            .bind(name),
        );
        Ok(!rows.await?.is_empty())
    }

    async fn read_floor(&self) -> Result<(), StoreError> {
        let rows = self.read(sqlx::query("/* floor */ select floor from watermark")).await?;
        rows.iter().try_for_each(|row| get(row, "floor").map(|floor| self.floor.set(floor)))
    }
}
