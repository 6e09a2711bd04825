//! Brings the schema up to date, raises the low watermark, and leaves a complete file at the end.

use std::time::Duration;

use async_trait::async_trait;
use galley_protocol::{OrderId, PublisherId};
use sqlx::migrate::Migrator;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::Sqlite;
use super::statements::refusal;
use crate::migrations::{failure, newest, outdated, tolerant};
use crate::row_values::get;
use crate::{Census, Result, Upkeep};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/sqlite");

/// The longest wait at the end for connections in use and for readers in other programs.
const CLOSING: Duration = Duration::from_secs(5);

#[async_trait]
impl Upkeep for Sqlite {
    async fn migrate(&self) -> Result<()> {
        tolerant(&MIGRATIONS).run(&self.writer).await.map_err(|error| failure(&error, refusal))?;
        self.fold_again().await?;
        self.begin_epoch_once().await?;
        self.read_floor().await
    }

    async fn ping(&self) -> Result<()> {
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

    /// One process serves the file, so the census contains only this publisher.
    async fn census(&self, own: PublisherId, receives: bool) -> Result<Census> {
        let safe = self.now()?;
        let hearing = receives.then_some(own).into_iter().collect();
        Ok(Census { living: [own].into(), hearing, safe, next: safe.position })
    }

    fn low_watermark(&self) -> OrderId {
        self.low_watermark.get()
    }

    async fn maintain(&self) -> Result<()> {
        self.check_changes().await?;
        self.move_floor().await?;
        self.settle().await?;
        if self.is_forgetful() {
            self.forget().await?;
        }
        Ok(())
    }

    async fn checkpoint(&self) -> Result<()> {
        self.move_log().await.map(drop)
    }

    /// Closes the readers, moves the write-ahead log into the file, and closes the file.
    async fn close(&self) {
        let closed = timeout(CLOSING, async {
            tokio::join!(self.readers.close(), self.lists.close());
            let moved = self.move_log().await;
            self.writer.close().await;
            moved
        });
        let why = match closed.await {
            Ok(Ok(true)) => return,
            Ok(Ok(false)) => "another program reads the database".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "a statement is still running".to_owned(),
        };
        let database = self.path.display();
        warn!(%database, why, "the write-ahead log stays: {database}-wal belongs to the database, copy and move both together");
    }
}

impl Sqlite {
    /// Reads the low watermark and begins an epoch if their tables exist. If the file is read-only
    /// at the moment, a later check of the schema begins the epoch.
    pub(super) async fn read_first(&self) -> Result<()> {
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

    async fn has_table(&self, name: &str) -> Result<bool> {
        let rows = self.read(
            sqlx::query(
                "/* has_table */ select 1 from sqlite_schema where type = 'table' and name = ?1",
            )
            .bind(name),
        );
        Ok(!rows.await?.is_empty())
    }

    async fn read_floor(&self) -> Result<()> {
        let rows = self.read(sqlx::query("/* floor */ select floor from watermark")).await?;
        rows.iter().try_for_each(|row| {
            get(row, "floor").map(|low_watermark| self.low_watermark.set(low_watermark))
        })
    }
}
