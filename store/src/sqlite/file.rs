//! The file of the database: locked by one process, created completely or not at all, and checked
//! to be still at its path.

use std::fs::{File, OpenOptions, TryLockError, metadata};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sqlx::migrate::Migrate as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{Connection as _, SqliteConnection};

use super::failure::refused_file;
use super::statements::refusal;
use crate::migrations::failure;
use crate::{Result, StoreConnectError, StoreError, Trouble};

/// The mode of a new file: only its owner may read and write it. `SQLite` gives `-wal` and `-shm` the
/// mode of the database.
const OWN: u32 = 0o600;

/// The suffixes of the files that make up an open database.
pub(super) const PARTS: [&str; 3] = ["", "-wal", "-shm"];

/// Locks the database against other processes that would serve it. Its folder must exist.
pub(super) fn lock(path: &Path) -> Result<File, StoreConnectError> {
    let beside = beside(path, ".lock");
    let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(OWN).open(&beside);
    let lock = lock.map_err(|error| refused_file(&beside, &error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(StoreConnectError::Busy(format!("another process serves {}", path.display())))
        }
        Err(TryLockError::Error(error)) => {
            Err(StoreError::Failed(format!("{}: {error}", path.display())).into())
        }
    }
}

/// Creates a missing database together with its first table, without a write-ahead log. An
/// interrupted start therefore leaves no file with content but without a table. Such a file is a
/// copy without its log: [`StoreConnectError::NotWhole`].
pub(super) async fn create_or_check(
    options: &SqliteConnectOptions,
) -> Result<(), StoreConnectError> {
    let path = options.get_filename();
    let size = |path: &Path| metadata(path).map_or(0, |file| file.len());
    let is_new = size(path) == 0;
    if is_new && size(&beside(path, "-wal")) > 0 {
        return Err(StoreConnectError::NotWhole(format!(
            "{0}-wal is there without what it belongs to, {0}",
            path.display()
        )));
    }
    if is_new {
        let made = OpenOptions::new().create(true).append(true).mode(OWN).open(path);
        made.map_err(|error| refused_file(path, &error))?;
    }
    let options = options.clone().create_if_missing(is_new);
    let options = if is_new { options.journal_mode(SqliteJournalMode::Delete) } else { options };
    let mut connection =
        SqliteConnection::connect_with(&options).await.map_err(|error| refusal(&error))?;
    if is_new {
        let made = connection.ensure_migrations_table("_sqlx_migrations").await;
        made.map_err(|error| failure(&error, refusal))?;
    }
    let tables = sqlx::query_scalar::<_, i64>(
        "/* tables */ select count(*) from sqlite_schema where type = 'table'",
    );
    let tables = tables.fetch_one(&mut connection).await.map_err(|error| refusal(&error))?;
    // Its failure does not matter: the pools open the file again, or the error below counts.
    let _ = connection.close().await;
    if tables > 0 { Ok(()) } else { Err(StoreConnectError::NotWhole(not_whole(path))) }
}

fn not_whole(path: &Path) -> String {
    format!(
        "{0} holds no table: it is a copy without its {0}-wal, which holds what it lacks; put that beside it or restore a \
         backup made by `galley backup`, or remove the file to begin anew",
        path.display()
    )
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The identities of the opened files: a commit into a file that was moved or removed is lost.
#[derive(Debug)]
pub(super) struct Opened(Vec<(PathBuf, (u64, u64))>);

impl Opened {
    pub(super) fn at(path: &Path) -> Self {
        let parts = PARTS.iter().map(|part| beside(path, part));
        Self(parts.filter_map(|part| identity(&part).map(|identity| (part, identity))).collect())
    }

    /// Checks with `stat` that all files are still at their paths ([`Trouble::Gone`]).
    pub(super) fn check(&self) -> Result<()> {
        match self.0.iter().find(|(path, opened)| identity(path) != Some(*opened)) {
            None => Ok(()),
            Some((path, _)) => {
                let why = format!("{} was moved, removed or replaced", path.display());
                Err(StoreError::Trouble(Trouble::Gone, why))
            }
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
