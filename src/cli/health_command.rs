//! `galley health`: a health check for containers without curl.

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use galley_launch::{ListenAddress, ReachedAt, fresh};
use reqwest::{Method, Url};

use super::api::Remote;
use super::error::CommandError;
use super::output;

/// The program to check.
#[derive(Args)]
#[command(after_help = "\
The first of these is asked: --file, --url, GALLEY_URL, --listen or GALLEY_LISTEN, GALLEY_HEALTH_FILE, http://127.0.0.1:8080. In the
environment of a gateway or a worker, `galley health` alone asks that one.

Examples:
  galley health                        a gateway: its /readyz answers 200
  galley health --listen unix:/run/galley.sock
  galley health --file /run/worker     a worker started with --health-file: the file was touched within 10 s")]
pub struct HealthArguments {
    /// Check the health file of a worker instead of a gateway
    #[arg(long, env = "GALLEY_HEALTH_FILE", value_name = "PATH")]
    file: Option<PathBuf>,
    /// Check the gateway that listens on this address of the same machine, written as for `galley
    /// --listen`
    #[arg(long, env = "GALLEY_LISTEN", value_name = "ADDRESS")]
    listen: Option<ListenAddress>,
    #[command(flatten)]
    given: Given,
}

/// The options that were given explicitly: `file` if it was typed, `url` if it was typed or set by
/// a variable.
struct Given {
    file: bool,
    url: bool,
}

/// Checks the program.
pub async fn run(arguments: HealthArguments, mut remote: Remote) -> Result<(), CommandError> {
    let HealthArguments { file, listen, given } = arguments;
    let listen = listen.filter(|_| !given.url);
    if let Some(path) = file.filter(|_| given.file || (!given.url && listen.is_none())) {
        return fresh(&path).map_err(CommandError::failed);
    }
    if let Some(address) = listen {
        let free = || {
            CommandError::usage(format!(
                "{address} is a port that only the gateway knows; give its address with --url"
            ))
        };
        match address.reached_at().ok_or_else(free)? {
            ReachedAt::Url(url) => remote.url = Url::parse(&url).map_err(CommandError::failed)?,
            ReachedAt::Unix(path) => remote.socket = Some(path),
        }
    }
    let api = remote.open()?;
    let answer = api.ask(api.request(Method::GET, "/readyz")).await?;
    output::print(&answer.body)
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let source = |id: &str| matches.value_source(id);
        let url =
            matches!(source("url"), Some(ValueSource::CommandLine | ValueSource::EnvVariable));
        Ok(Self { file: source("file") == Some(ValueSource::CommandLine), url })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// `Given` has no arguments of its own: it reads the sources of those of other structs.
impl Args for Given {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}
