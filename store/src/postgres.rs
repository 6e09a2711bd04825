//! The store on `PostgreSQL` 15 or newer, shared by any number of processes.
//!
//! Every method runs one or two guarded statements, and each commits separately; see [`statements`]
//! for how they are sent. All times come from the database's clock. Rows are locked by rising id,
//! so that overlapping batches cannot deadlock.

mod cancel;
mod census;
mod claim;
mod delete;
mod epoch;
mod failure;
mod folding;
mod liveness;
mod maintain;
mod menu;
mod place;
mod placing;
mod reading;
mod rows;
mod server_processes;
mod settled;
mod snapshots;
mod statements;
mod tally;
mod upkeep;
mod work;

use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::time::timeout;

use self::epoch::KeyRead;
use self::liveness::Liveness;
use self::maintain::Maintenance;
use self::server_processes::ServerProcesses;
use self::settled::SettledFloor;
use crate::StoreConnectError;
use crate::cursor_keys::CursorKeys;
use crate::database_outage::DatabaseOutage;
use crate::low_watermark::LowWatermark;

pub(crate) struct Postgres {
    pool: PgPool,
    backends: Arc<ServerProcesses>,
    /// Held by the task that tests whether changes are possible again; one at a time.
    probe: Arc<tokio::sync::Mutex<()>>,
    /// The options of connections outside the pool, which have no time-outs.
    options: PgConnectOptions,
    low_watermark: LowWatermark,
    settled: SettledFloor,
    cursor_keys: CursorKeys,
    key_read: KeyRead,
    liveness: Liveness,
    maintenance: Maintenance,
    outage: DatabaseOutage,
}

impl Postgres {
    pub(crate) fn place(url: &str) -> Result<String, StoreConnectError> {
        statements::options(url)
            .map(|options| failure::place(&options))
            .map_err(StoreConnectError::BadUrl)
    }

    /// Opens the pool after a first connection has succeeded.
    pub(crate) async fn connect(url: &str) -> Result<Self, StoreConnectError> {
        let options = statements::options(url).map_err(StoreConnectError::BadUrl)?;
        let greet = async { PgConnection::connect_with(&options).await?.close().await };
        let greeted = timeout(crate::STATEMENT_TIMEOUT, greet)
            .await
            .unwrap_or_else(|_| Err(statements::silence()));
        greeted.map_err(|error| failure::of_connecting(&options, &error))?;
        let (backends, probe) = (Arc::<ServerProcesses>::default(), Arc::default());
        let pool = statements::pool(options.clone(), &backends);
        let outage = DatabaseOutage::new(failure::place(&options));
        let (low_watermark, settled) = (LowWatermark::default(), SettledFloor::default());
        let (liveness, maintenance) = (Liveness::default(), Maintenance::default());
        let (cursor_keys, key_read) = (CursorKeys::default(), KeyRead::default());
        let store = Self {
            pool,
            backends,
            probe,
            options,
            low_watermark,
            settled,
            cursor_keys,
            key_read,
            liveness,
            maintenance,
            outage,
        };
        store.read_first().await.map_err(|error| failure::of_reading(&store.options, error))?;
        Ok(store)
    }
}
