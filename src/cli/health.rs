//! `galley health`: for a container's health check, where there is no curl.

use std::path::PathBuf;

use clap::Args;
use galley_launch::fresh;
use reqwest::Method;

use super::api::Remote;
use super::error::CommandError;
use super::output;

/// The program to check.
#[derive(Args)]
#[command(after_help = "\
Examples:
  galley health                        a gateway: its /readyz answers 200
  galley health --file /run/worker     a worker started with --health-file: the file was touched within 10 s")]
pub struct HealthArguments {
    /// Check the health file of a worker instead of a gateway
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
}

/// Checks it.
pub async fn run(arguments: HealthArguments, remote: Remote) -> Result<(), CommandError> {
    if let Some(path) = arguments.file {
        return fresh(&path).map_err(CommandError::failed);
    }
    let api = remote.open()?;
    let answer = api.ask(api.request(Method::GET, "/readyz")).await?;
    output::print(&answer.body)
}
