//! Brings the schema up to date, shows that this process is alive, and advances the state that all
//! processes share. A schema that is newer than this program is accepted: migrations only add, so
//! that old and new processes run side by side. Texts are refolded after the migrations, because
//! SQL cannot fold them.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use galley_protocol::finding::Finding;
use galley_protocol::{OrderId, PublisherId};
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::Postgres;
use super::census::nothing;
use super::liveness::{HEARING, PUBLISHER, SIGNING};
use super::migrating::MIGRATIONS;
use crate::migrations::{newest, outdated};
use crate::row_values::{get, parse};
use crate::{Census, ConnectionLoad, Result, StoreConnectError, Upkeep};

/// The longest wait for the last statements at the end.
const CLOSING: Duration = Duration::from_secs(5);

#[async_trait]
impl Upkeep for Postgres {
    async fn migrate(&self) -> Result<()> {
        self.run_migrations().await?;
        self.fold_again(None).await?;
        self.check_epoch().await?;
        self.read_floor().await
    }

    async fn ping(&self) -> Result<()> {
        self.check_changes().await?;
        if !self.has_table("_sqlx_migrations").await? {
            return Err(outdated());
        }
        let rows = self.rows(|| {
            sqlx::query(
                "/* schema */
                 select exists (
                         select from _sqlx_migrations where version = $1 and success
                     ) as current,
                     pg_is_in_recovery()
                         or current_setting('transaction_read_only')::boolean as read_only",
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
            // The schema was created after this process had started.
            true => self.check_epoch().await,
            false => Err(outdated()),
        }
    }

    /// The statement's snapshot, and so the cursor, is older than its view of the locks. A process
    /// that is not seen alive yet commits nothing before the cursor.
    async fn census(&self, own: PublisherId, receives: bool) -> Result<Census> {
        self.liveness.want((PUBLISHER, own.get()), true);
        self.liveness.want((SIGNING, own.get()), true);
        self.liveness.want((HEARING, own.get()), receives);
        let rows = self.look().await?;
        let first = rows.first().ok_or_else(nothing)?;
        let low_watermark = parse::<i64, OrderId>(first, "floor")?;
        self.low_watermark.set(low_watermark.get());
        self.settled.read(low_watermark, get(first, "position")?, get(first, "xmax")?);
        let safe = self.cursor(first, self.settled.get()).await?;
        let hearing = receives.then_some(own).into_iter().collect();
        let mut signing = BTreeSet::from([own]);
        let mut census = Census { living: [own].into(), hearing, safe, next: get(first, "xmax")? };
        for row in &rows {
            let (class, number) =
                (get::<Option<i64>>(row, "class")?, get::<Option<i64>>(row, "number")?);
            let publisher =
                number.and_then(|number| PublisherId::new(i32::try_from(number).ok()?).ok());
            match class {
                Some(class) if class == i64::from(PUBLISHER) => census.living.extend(publisher),
                Some(class) if class == i64::from(SIGNING) => signing.extend(publisher),
                Some(_) => census.hearing.extend(publisher),
                None => {}
            }
        }
        let unsigned = census.living.difference(&signing).copied().collect();
        self.cursor_keys.messages().allow_unsigned(unsigned);
        Ok(census)
    }

    fn low_watermark(&self) -> OrderId {
        self.low_watermark.get()
    }

    async fn maintain(&self) -> Result<()> {
        self.check_changes().await?;
        self.check_epoch().await?;
        let now = Instant::now();
        let mark = self.assigned(now).await?;
        if let Some(settled) = self.maintenance.mark(mark) {
            self.move_floor(settled).await?;
        }
        self.read_floor().await?;
        self.settle().await?;
        if self.maintenance.is_forgetful(now) {
            self.forget().await?;
        }
        Ok(())
    }

    async fn checkpoint(&self) -> Result<()> {
        Ok(())
    }

    async fn findings(&self) -> Result<Vec<Finding>> {
        self.inspect().await
    }

    fn connections(&self) -> ConnectionLoad {
        let (used, waiting) = self.shares.load();
        ConnectionLoad { open: self.pool.size() as usize, used, waiting }
    }

    fn renew_url(&self, url: &str) -> std::result::Result<(), StoreConnectError> {
        self.search.renew(url)?;
        self.pool.set_connect_options(self.search.options());
        Ok(())
    }

    async fn close(&self) {
        self.liveness.end().await;
        self.backends.give_up();
        // Statements that are still running end with this process.
        drop(timeout(CLOSING, self.pool.close()).await);
    }
}

impl Postgres {
    /// Reads the low watermark and the key of cursors if their tables exist. If there is no key and
    /// the server is read-only, a later check of the schema reads it.
    pub(super) async fn read_first(&self) -> Result<()> {
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

    async fn has_table(&self, name: &str) -> Result<bool> {
        let rows = self
            .rows(|| {
                sqlx::query("/* has_table */ select to_regclass($1) is not null as there")
                    .bind(name)
            })
            .await?;
        rows.first().map_or(Ok(false), |row| get(row, "there"))
    }
}
