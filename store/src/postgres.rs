//! The store on `PostgreSQL` 14 or newer, shared by any number of processes.
//!
//! Every method runs one or two guarded statements, and each commits separately; see [`statements`]
//! for how they are sent. All times come from the database's clock. Rows are locked by rising id,
//! so that overlapping batches cannot deadlock.

mod cancel;
mod census;
mod claim;
mod clear_text;
mod database_address;
mod delete;
mod epoch;
mod failure;
mod folding;
mod liveness;
mod maintain;
mod menu;
mod migrating;
mod place;
mod placing;
mod pooling;
mod reading;
mod rows;
mod server_findings;
mod server_processes;
mod server_search;
mod settled;
mod shares;
mod snapshots;
mod statements;
mod tally;
mod token_area;
mod upkeep;
mod work;

use std::sync::Arc;

use sqlx::{Connection as _, PgPool};
use tokio::time::timeout;

use self::database_address::DatabaseAddress;
use self::epoch::KeyRead;
use self::liveness::Liveness;
use self::maintain::Maintenance;
use self::server_processes::ServerProcesses;
use self::server_search::ServerSearch;
use self::settled::SettledFloor;
use self::shares::Shares;
use crate::StoreConnectError;
use crate::cursor_keys::CursorKeys;
use crate::database_outage::DatabaseOutage;
use crate::low_watermark::LowWatermark;

pub(crate) struct Postgres {
    pool: PgPool,
    backends: Arc<ServerProcesses>,
    /// Held by the task that tests whether changes are possible again; one at a time.
    probe: Arc<tokio::sync::Mutex<()>>,
    search: ServerSearch,
    shares: Arc<Shares>,
    /// Held while one connection without TLS is opened.
    without_tls: tokio::sync::Mutex<()>,
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
        DatabaseAddress::parse(url)
            .map(|address| address.place())
            .map_err(StoreConnectError::BadUrl)
    }

    /// Opens the pool after first connections have succeeded.
    pub(crate) async fn connect(url: &str, connections: u32) -> Result<Self, StoreConnectError> {
        let search = ServerSearch::new(url)?;
        search.check_files()?;
        let place = search.address().place();
        greet(&search, &place).await?;
        let (backends, probe) = (Arc::<ServerProcesses>::default(), Arc::default());
        let shares = Arc::new(Shares::of(connections));
        let pool = statements::pool(search.options(), &shares, &backends);
        let (low_watermark, settled) = (LowWatermark::default(), SettledFloor::default());
        let (liveness, maintenance) = (Liveness::default(), Maintenance::default());
        let (cursor_keys, key_read) = (CursorKeys::default(), KeyRead::default());
        let store = Self {
            pool,
            backends,
            probe,
            search,
            shares,
            without_tls: tokio::sync::Mutex::default(),
            low_watermark,
            settled,
            cursor_keys,
            key_read,
            liveness,
            maintenance,
            outage: DatabaseOutage::new(place.clone()),
        };
        store.read_first().await.map_err(|error| failure::of_reading(&place, error))?;
        Ok(store)
    }
}

/// Finds the server, and refuses a pooler there that shares sessions.
async fn greet(search: &ServerSearch, place: &str) -> Result<(), StoreConnectError> {
    let mut one = search.find(crate::STATEMENT_TIMEOUT).await.map_err(|none| none.at_start)?;
    let mut other = search.another(crate::STATEMENT_TIMEOUT).await?;
    let asked = timeout(crate::STATEMENT_TIMEOUT, pooling::is_shared(&mut one, &mut other));
    let is_shared = asked.await.unwrap_or_else(|_| Err(statements::silence()));
    let is_shared =
        is_shared.map_err(|error| failure::of_reading(place, statements::refusal(&error)))?;
    if is_shared {
        return Err(failure::of_pooling(place));
    }
    for connection in [one, other] {
        drop(connection.close().await);
    }
    Ok(())
}
