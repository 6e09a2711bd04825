//! `galley health`: for a container's health check, where there is no curl.

use std::path::PathBuf;

use clap::Args;
use galley_launch::{Failure, fresh};
use reqwest::Method;

use super::api::Remote;
use super::output;

/// Whose health.
#[derive(Args)]
#[command(after_help = "\
Examples:
  galley health                        a gateway: its /readyz answers 200
  galley health --file /run/worker     a worker started with --health-file: the file was touched within 10 s")]
pub struct HealthArguments {
    #[command(flatten)]
    remote: Remote,
    /// The health file of a worker, in place of a gateway
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
}

/// Looks after it.
pub async fn run(arguments: HealthArguments) -> Result<(), Failure> {
    if let Some(path) = arguments.file {
        return fresh(&path).map_err(Failure::Failed);
    }
    let api = arguments.remote.open()?;
    let answer = api.ask(api.request(Method::GET, "/readyz")).await?;
    output::print(&answer.body)
}
