//! Copies the embedded database, whether it is served or not.
//!
//! `VACUUM INTO` reads one state of the database on its own connection. It blocks no writer, and it
//! works while another process serves the database. The copy is written under a temporary name and
//! renamed once it is on the disk, so that the target file is complete or does not exist.

use std::fs::{File, Metadata, metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{Connection as _, SqliteConnection};
use tempfile::NamedTempFile;
use thiserror::Error;

use super::file::{PARTS, beside};
use super::statements;

/// The longest wait for a lock that another program holds on the whole database.
const PATIENCE: Duration = Duration::from_secs(10);

/// The report of a finished copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupReport {
    /// The size of the copy in bytes.
    pub bytes: u64,
    /// The number of orders in the copy, without deleted ones.
    pub orders: u64,
}

/// The reason why no copy was made.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The URL cannot be read, or names no file.
    #[error("{0}")]
    BadUrl(String),
    /// The target exists already.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// Any other failure; the text names the file.
    #[error("{0}")]
    Failed(String),
}

/// Copies the database that `url` names to `target`, which only its owner may read. The copy
/// contains every order that was accepted before this call.
///
/// # Errors
/// [`BackupError`]; `target` is then unchanged.
pub async fn backup(url: &str, target: &Path, replace: bool) -> Result<BackupReport, BackupError> {
    let options = statements::options(url).map_err(BackupError::BadUrl)?;
    let source = options.get_filename().to_owned();
    let about = |path: &Path, why: &dyn std::fmt::Display| {
        BackupError::Failed(format!("{}: {why}", path.display()))
    };
    let database = metadata(&source).map_err(|error| about(&source, &error))?;
    check_target(&source, &database, target, replace)?;
    let folder =
        target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let copy = NamedTempFile::with_prefix_in(".galley-backup-", folder)
        .map_err(|error| about(folder, &error))?;
    let orders = fill(&options, copy.path()).await.map_err(|error| about(&source, &error))?;
    let file = copy
        .as_file()
        .sync_all()
        .and_then(|()| copy.as_file().metadata())
        .map_err(|error| about(target, &error))?;
    let kept = if replace { copy.persist(target) } else { copy.persist_noclobber(target) };
    kept.map_err(|error| {
        let is_there = error.error.kind() == std::io::ErrorKind::AlreadyExists;
        if is_there { BackupError::Exists(target.to_owned()) } else { about(target, &error.error) }
    })?;
    // The name must be on the disk as well.
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| about(folder, &error))?;
    Ok(BackupReport { bytes: file.len(), orders })
}

fn check_target(
    source: &Path,
    database: &Metadata,
    target: &Path,
    replace: bool,
) -> Result<(), BackupError> {
    let refuse = |why: String| Err(BackupError::Failed(why));
    if let Ok(found) = metadata(target) {
        if (found.dev(), found.ino()) == (database.dev(), database.ino()) {
            return refuse(format!("{} is the database itself", target.display()));
        }
        if !replace {
            return Err(BackupError::Exists(target.to_owned()));
        }
        if !found.is_file() {
            return refuse(format!("{} is not a file", target.display()));
        }
    }
    if PARTS[1..].iter().chain(&[".lock"]).any(|part| beside(source, part) == target) {
        return refuse(format!("{} belongs to the database", target.display()));
    }
    match ["-wal", "-journal"].map(|part| beside(target, part)).iter().find(|path| path.exists()) {
        // SQLite would read it as a part of the copy.
        Some(path) => {
            refuse(format!("{} belongs to another database: remove it first", path.display()))
        }
        None => Ok(()),
    }
}

async fn fill(options: &SqliteConnectOptions, copy: &Path) -> Result<u64, String> {
    let said = |error: sqlx::Error| error.to_string();
    let path = copy.to_str().ok_or("the name of the folder is not UTF-8")?;
    let options = options.clone().create_if_missing(false).busy_timeout(PATIENCE);
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(said)?;
    let tables = "/* is_galley */ select count(*) from sqlite_schema where name in ('orders', '_sqlx_migrations')";
    let tables: i64 = sqlx::query_scalar(tables).fetch_one(&mut connection).await.map_err(said)?;
    if tables < 2 {
        return Err("this is no database of Galley".to_owned());
    }
    sqlx::query("/* backup */ vacuum into ?1")
        .bind(path)
        .execute(&mut connection)
        .await
        .map_err(said)?;
    connection.close().await.map_err(said)?;

    // A journal in memory leaves no second file next to the copy.
    let options =
        SqliteConnectOptions::new().filename(copy).journal_mode(SqliteJournalMode::Memory);
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(said)?;
    let keys = "/* has_keys */ select count(*) from sqlite_schema where name = 'cursor_keys'";
    if sqlx::query_scalar::<_, i64>(keys).fetch_one(&mut connection).await.map_err(said)? > 0 {
        // The copy begins a history of its own: cursors of the original may be newer than it.
        sqlx::query("/* forget_keys */ delete from cursor_keys")
            .execute(&mut connection)
            .await
            .map_err(said)?;
    }
    let count = sqlx::query_scalar::<_, i64>(
        "/* orders_in_backup */ select count(*) from orders where deleted_time is null",
    );
    let orders = count.fetch_one(&mut connection).await.map_err(said)?;
    connection.close().await.map_err(said)?;
    Ok(orders.unsigned_abs())
}
