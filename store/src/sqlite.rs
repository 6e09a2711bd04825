//! The store in one `SQLite` file, served by one process.
//!
//! All writes use one connection and change many rows per statement: one statement per row would be
//! ten times slower. Several statements of one request form one transaction, so that verdicts
//! judged in between stay valid. A lock on a separate file keeps other processes out; the system
//! releases it however the process ends.

mod claim;
mod epoch;
mod failure;
mod file;
mod file_backup;
mod folding;
mod maintain;
mod menu;
mod placing;
mod position;
mod reading;
mod rows;
mod snapshots;
mod statements;
mod tally;
mod token_area;
mod upkeep;
mod work;

use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Mutex;

use sqlx::SqlitePool;
use tokio::time::Instant;

use self::file::Opened;
pub use self::file_backup::{BackupError, BackupReport, backup};
use self::position::Position;
use crate::StoreConnectError;
use crate::cursor_keys::CursorKeys;
use crate::database_outage::DatabaseOutage;
use crate::low_watermark::LowWatermark;

pub(crate) struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
    /// The readers of lists, apart from the others, so that sockets open beside them.
    lists: SqlitePool,
    low_watermark: LowWatermark,
    position: Position,
    cursor_keys: CursorKeys,
    /// The incarnations of this process, one for each start of a worker; all others are dead.
    living: Mutex<HashSet<i64>>,
    forgotten: Mutex<Option<Instant>>,
    path: PathBuf,
    opened: Opened,
    outage: DatabaseOutage,
    /// The lock file, held while the store lives.
    _lock: File,
}

impl Sqlite {
    pub(crate) fn place(url: &str) -> Result<String, StoreConnectError> {
        statements::options(url)
            .map(|options| failure::place(options.get_filename()))
            .map_err(StoreConnectError::BadUrl)
    }

    /// Locks and opens the file. Creates it and its folders if they do not exist.
    pub(crate) async fn connect(url: &str) -> Result<Self, StoreConnectError> {
        let options = statements::options(url).map_err(StoreConnectError::BadUrl)?;
        let path = options.get_filename().to_owned();
        failure::prepare(&path)?;
        let lock = file::lock(&path)?;
        file::create_or_check(&options).await?;
        let writer = statements::writer(&options).await?;
        let (readers, lists) = statements::readers(&options).await?;
        let (living, forgotten) = (Mutex::default(), Mutex::default());
        // The first statement creates `-wal` and `-shm`, whose identities `Opened` records.
        sqlx::query("/* open */ select 1 from sqlite_schema")
            .fetch_all(&writer)
            .await
            .map_err(|error| statements::refusal(&error))?;
        let (opened, outage) = (Opened::at(&path), DatabaseOutage::new(failure::place(&path)));
        let (low_watermark, position, cursor_keys) =
            (LowWatermark::default(), Position::default(), CursorKeys::default());
        let store = Self {
            writer,
            readers,
            lists,
            low_watermark,
            position,
            cursor_keys,
            living,
            forgotten,
            path,
            opened,
            outage,
            _lock: lock,
        };
        store.read_first().await?;
        Ok(store)
    }
}
