//! The `PostgreSQL` of a deployment: alone, with a synchronous standby, or behind `PgBouncer`.

use std::path::Path;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::time::{Instant, sleep, timeout};

use super::FaultDeployment;
use crate::proxy::Ways;
use crate::{Pooler, PostgresServer, Proxy};

/// The longest time for the standby to catch up, and to become the primary.
const PATIENCE: Duration = Duration::from_secs(10);
/// The polling interval.
const LOOK: Duration = Duration::from_millis(50);

/// The database of a stage.
#[derive(Debug)]
pub struct FaultyPostgres {
    primary: PostgresServer,
    standby: Option<Standby>,
    /// `PgBouncer`, if the deployment has it.
    pub pooler: Option<Pooler>,
    /// The proxy for breaking and checking: always open, always to the primary.
    front: Proxy,
}

#[derive(Debug)]
struct Standby {
    server: PostgresServer,
    link: Proxy,
}

impl FaultyPostgres {
    /// Starts the servers, with the primary's files in this folder.
    pub async fn start(deployment: FaultDeployment, folder: &Path) -> Self {
        let primary = PostgresServer::start_in(folder).await;
        let front = Proxy::start(primary.port).await;
        let mut postgres = Self { primary, standby: None, pooler: None, front };
        if deployment == FaultDeployment::Standby {
            postgres.replicate().await;
        } else if deployment == FaultDeployment::Pooled {
            postgres.pooler = Some(Pooler::start(postgres.primary.port).await);
        }
        postgres
    }

    async fn replicate(&mut self) {
        let link = Proxy::start(self.primary.port).await;
        let server = self.primary.standby(link.port()).await;
        self.standby = Some(Standby { server, link });
        for statement in
            ["alter system set synchronous_standby_names = '*'", "select pg_reload_conf()"]
        {
            execute(&self.url(), statement).await.expect("the primary runs");
        }
    }

    /// The port for gateways and workers.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.pooler.as_ref().map_or(self.primary.port, |pooler| pooler.port)
    }

    /// The URL for breaking and checking.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.front.port())
    }

    /// The proxy between standby and primary; `None` without a standby.
    #[must_use]
    pub fn replication(&self) -> Option<&Proxy> {
        self.standby.as_ref().map(|standby| &standby.link)
    }

    /// Stops the primary without a checkpoint.
    pub fn crash(&mut self) {
        self.primary.crash();
    }

    /// Starts the primary unless it runs.
    pub async fn start_again(&mut self) {
        if !self.primary.program.is_running() {
            self.primary.restart().await;
        }
    }

    /// Ends the primary and promotes its standby. `lead` moves the clients there; the server
    /// refuses writes at first.
    ///
    /// # Errors
    /// If there is no standby, or it has not caught up: promoting it would lose changes for good.
    pub async fn promote(&mut self, lead: impl FnOnce(u16)) -> Result<(), String> {
        let standby = self.standby.as_ref().ok_or("there is no standby")?;
        standby.link.stall(Ways::default());
        standby.link.slow(Duration::ZERO);
        caught_up(&self.url()).await?;
        let Standby { server, link: _ } = self.standby.take().ok_or("there is no standby")?;
        self.primary.crash();
        self.primary = server;
        self.front.redirect(self.primary.port);
        lead(self.primary.port);
        let promoted = timeout(PATIENCE, execute(&self.url(), "select pg_promote()")).await;
        promoted.map_err(|_| "the standby is silent".to_owned())?.map_err(|error| error.to_string())
    }
}

/// Waits until the synchronous standby has everything that is committed now.
async fn caught_up(url: &str) -> Result<(), String> {
    let wait = async {
        let mut connection = PgConnection::connect(url).await?;
        let until: String = sqlx::query_scalar("select pg_current_wal_lsn()::text")
            .fetch_one(&mut connection)
            .await?;
        let has = "select exists (select from pg_stat_replication where sync_state = 'sync' and flush_lsn >= $1::pg_lsn)";
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if sqlx::query_scalar(has).bind(&until).fetch_one(&mut connection).await? {
                return Ok(true);
            }
            sleep(LOOK).await;
        }
        Ok::<_, sqlx::Error>(false)
    };
    match timeout(2 * PATIENCE, wait).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err("the standby does not catch up".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("PostgreSQL is silent".to_owned()),
    }
}

async fn execute(url: &str, statement: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
    connection.close().await
}
