//! The store on `PostgreSQL` 15 or newer, shared by any number of processes.
//!
//! Every method is a guarded statement or two, each committed by itself; see [`session`] for how
//! they get there. Times come from the database's clock only. Rows are locked by rising id, so that
//! batches that overlap cannot deadlock.

mod backends;
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
mod session;
mod settled;
mod snapshots;
mod tally;
mod upkeep;
mod work;

use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::time::timeout;

use self::backends::Backends;
use self::epoch::KeyRead;
use self::liveness::Liveness;
use self::maintain::Maintenance;
use self::settled::SettledFloor;
use crate::ConnectError;
use crate::cursors::CursorKeys;
use crate::floor::Floor;
use crate::outage::Outage;

pub(crate) struct Postgres {
    pool: PgPool,
    backends: Arc<Backends>,
    /// Whoever tries whether changes are possible again: one at a time.
    probe: Arc<tokio::sync::Mutex<()>>,
    /// For connections outside of the pool, without its time-outs.
    options: PgConnectOptions,
    floor: Floor,
    settled: SettledFloor,
    cursor_keys: CursorKeys,
    key_read: KeyRead,
    liveness: Liveness,
    maintenance: Maintenance,
    outage: Outage,
}

impl Postgres {
    /// Where a URL leads, for people.
    pub(crate) fn place(url: &str) -> Result<String, ConnectError> {
        session::options(url).map(|options| failure::place(&options)).map_err(ConnectError::BadUrl)
    }

    /// Opens the pool, after one connection has shown that the database answers.
    pub(crate) async fn connect(url: &str) -> Result<Self, ConnectError> {
        let options = session::options(url).map_err(ConnectError::BadUrl)?;
        let greet = async { PgConnection::connect_with(&options).await?.close().await };
        let greeted = timeout(crate::STATEMENT_TIMEOUT, greet)
            .await
            .unwrap_or_else(|_| Err(session::silence()));
        greeted.map_err(|error| failure::of_connecting(&options, &error))?;
        let (backends, probe) = (Arc::<Backends>::default(), Arc::default());
        let pool = session::pool(options.clone(), &backends);
        let outage = Outage::new(failure::place(&options));
        let (floor, settled) = (Floor::default(), SettledFloor::default());
        let (liveness, maintenance) = (Liveness::default(), Maintenance::default());
        let (cursor_keys, key_read) = (CursorKeys::default(), KeyRead::default());
        let store = Self {
            pool,
            backends,
            probe,
            options,
            floor,
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
