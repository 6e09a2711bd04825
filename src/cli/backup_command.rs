//! `galley backup`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use galley_launch::{Failure, LogConfig};
use galley_protocol::harmless::harmless;
use galley_store::{BackupError, BackupReport};
use serde_json::json;

use super::output;

/// The database to copy, and the file to make.
#[derive(Args)]
#[command(after_help = "\
The copy is whole or not there. To restore it, stop Galley, remove the database with its -wal and -shm, and put the copy in
its place.

PostgreSQL has a program of its own:
  pg_dump --format=custom --file=galley.dump postgres://galley@localhost/galley

Example:
  galley backup galley-monday.db")]
pub struct BackupArguments {
    /// The file to make, in a folder that exists
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The database: `sqlite://PATH`
    #[arg(
        long,
        env = "DATABASE_URL",
        value_name = "URL",
        default_value = "sqlite://.galley/galley.db",
        hide_env_values = true
    )]
    database_url: String,
    /// Replace a file that exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    log: LogConfig,
}

/// Makes the copy. A signal ends it without a file.
pub fn run(arguments: BackupArguments, json: bool) -> ExitCode {
    let log = arguments.log.clone();
    galley_launch::run(&log, async |stop| {
        stop.run_until_cancelled(copy(arguments, json)).await.unwrap_or_else(|| {
            let why = "a signal came before the backup was whole; there is no file";
            Err(Failure::failed(why))
        })
    })
}

async fn copy(arguments: BackupArguments, json: bool) -> Result<(), Failure> {
    let BackupArguments { file, database_url, force, .. } = arguments;
    if database_url.starts_with("postgres:") || database_url.starts_with("postgresql:") {
        let why = "invalid value for '--database-url <URL>': `galley backup` copies the embedded database; \
                   for PostgreSQL use `pg_dump --format=custom --file=FILE URL`";
        return Err(Failure::Usage(why.to_owned()));
    }
    let made = galley_store::backup(&database_url, &file, force).await;
    let BackupReport { bytes, orders } = made.map_err(|error| match error {
        BackupError::BadUrl(why) => {
            Failure::Usage(format!("invalid value for '--database-url <URL>': {why}"))
        }
        BackupError::Exists(_) => Failure::failed(format_args!(
            "{error}; choose another name, or replace it with --force"
        )),
        BackupError::Failed(_) => Failure::failed(format_args!("no backup was made: {error}")),
    })?;
    output::print(&if json {
        json!({"file": file, "bytes": bytes, "orders": orders}).to_string()
    } else {
        format!("{}: {bytes} bytes, {orders} orders", harmless(&file.display().to_string()))
    })
    .map_err(Failure::from)
}
