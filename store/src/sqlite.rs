//! The store in one `SQLite` file, served by one process.
//!
//! All writes go through one connection, set by set: a statement per row would be ten times slower.
//! What takes several statements is one transaction, so that verdicts judged in between hold. A
//! lock on a file beside the database keeps other processes away; the system frees it however the
//! process ends.

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
    low_watermark: LowWatermark,
    position: Position,
    cursor_keys: CursorKeys,
    /// The incarnations of this process; all others are dead. One per start of a worker, so that it
    /// needs no other bound.
    living: Mutex<HashSet<i64>>,
    /// When old rows were forgotten last.
    forgotten: Mutex<Option<Instant>>,
    path: PathBuf,
    opened: Opened,
    outage: DatabaseOutage,
    /// Held as long as the store lives.
    _lock: File,
}

impl Sqlite {
    /// Where a URL leads, for people.
    pub(crate) fn place(url: &str) -> Result<String, StoreConnectError> {
        statements::options(url)
            .map(|options| failure::place(options.get_filename()))
            .map_err(StoreConnectError::BadUrl)
    }

    /// Locks and opens the file; makes it, and the folders on its way, when they are not there.
    pub(crate) async fn connect(url: &str) -> Result<Self, StoreConnectError> {
        let options = statements::options(url).map_err(StoreConnectError::BadUrl)?;
        let path = options.get_filename().to_owned();
        failure::prepare(&path)?;
        let lock = file::lock(&path)?;
        file::create_or_check(&options).await?;
        let writer = statements::writer(&options).await?;
        let readers = statements::readers(&options).await?;
        let (living, forgotten) = (Mutex::default(), Mutex::default());
        // The first reads make the files beside the database.
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
