//! `galley migrate`

use std::process::ExitCode;

use clap::Args;
use galley_launch::{Failure, LogConfig, WaitConfig, migrate, open_store};
use galley_store::DEFAULT_CONNECTIONS;

use super::output;

/// The database to bring up to date.
#[derive(Args)]
#[command(after_help = "\
Safe to repeat, and safe to run from several places at once.

Example:
  galley migrate --database-url postgres://galley@localhost/galley")]
pub struct MigrateArguments {
    /// The database: `postgres://USER:PASSWORD@HOST/NAME` or `sqlite://PATH`
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: String,
    #[command(flatten)]
    wait: WaitConfig,
    #[command(flatten)]
    log: LogConfig,
}

/// Brings the schema up to date.
pub fn run(arguments: MigrateArguments) -> ExitCode {
    let MigrateArguments { database_url, wait, log } = arguments;
    galley_launch::run(&log, async |stop| {
        let patience = wait.begin(&stop);
        let store = open_store(&database_url, DEFAULT_CONNECTIONS, &patience).await?;
        let migrated = migrate(store.as_ref(), &patience).await;
        store.close().await;
        migrated?;
        output::print("the schema is up to date").map_err(Failure::from)
    })
}
