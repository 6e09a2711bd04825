//! The command line, with one file per group of commands. Data goes to standard output, messages to
//! standard error.

mod api;
mod api_problem;
mod arguments;
mod backup_command;
mod client_session;
mod completions;
mod doctor_command;
mod error;
mod exit;
mod health_command;
mod hero_commands;
mod link;
mod meal_commands;
mod migrate;
mod named;
mod note;
mod order_commands;
mod output;
mod paging;
mod resource_commands;
mod token_command;
mod watch;

use std::process::ExitCode;

use clap::{ArgMatches, Parser, Subcommand};

use crate::embedded::{self, ServeArguments};
use api::Remote;
pub use arguments::{read, wants_json};
use error::CommandError;

/// Galley, a real-time ordering service for super-heroes.
///
/// Without a command it serves: the gateway, the worker, the dashboard and an embedded database in
/// one process. The other commands speak to a running gateway.
#[derive(Parser)]
#[command(name = "galley", version, after_help = after_help())]
pub struct Galley {
    #[command(flatten)]
    pub remote: Remote,
    #[command(flatten)]
    pub serve: ServeArguments,
    #[command(subcommand)]
    pub command: Option<CliCommand>,
}

const EXAMPLES: &str = "\
Examples:
  galley                                serve on http://127.0.0.1:8080
  galley --listen 127.0.0.1:0           serve on a free port, printed on standard output
  galley meal list                      the menu
  galley order place --hero 1 --meal 2  order
  galley order place --hero Nova --meal 'Peanut soup' --wait
  galley watch --hero Nova              see each change of Nova's orders as it happens

Output:
  Data goes to standard output, messages to standard error. With --json the
  data is JSON, and an error is one line of JSON on standard error: the problem
  (RFC 9457) of the gateway, or one of the same shape whose type begins with
  urn:galley: where no gateway answered.

Heroes and meals:
  Each may be given by id or by name. A number is an id. Any other text is a
  name: the whole name, or else a part that only one name contains. Capitals
  and accents do not matter. id:7 and name:7 say which is meant.";

fn after_help() -> String {
    format!("{EXAMPLES}\n\n{}", exit::EXIT_CODES)
}

/// A command in place of serving.
#[derive(Subcommand)]
pub enum CliCommand {
    /// List, read, create, change and delete heroes
    #[command(subcommand)]
    Hero(hero_commands::HeroCommand),
    /// List, read, create, change and delete meals
    #[command(subcommand)]
    Meal(meal_commands::MealCommand),
    /// List, read, place, cancel and delete orders
    #[command(subcommand)]
    Order(order_commands::OrderCommand),
    /// Show each change of an order as it happens
    Watch(watch::WatchArguments),
    /// Bring the database's schema up to date; gateways and workers never do it themselves
    Migrate(migrate::MigrateArguments),
    /// Copy the embedded database into a file, while it is served or not
    Backup(backup_command::BackupArguments),
    /// Check a gateway or a worker; exit code 0 means healthy
    Health(health_command::HealthArguments),
    /// Print the settings in force, secrets hidden, and try the database, Redis and the gateway;
    /// options for serving may stand before the command
    Doctor,
    /// Make a token for a hero or for staff
    Token(token_command::TokenArguments),
    /// Print the completions of a shell
    Completions(completions::CompletionsArguments),
}

/// The part that a gateway plays in a command.
enum Local {
    /// The command asks a gateway.
    No,
    /// The command asks no gateway, and prints text.
    Text,
    /// The command asks no gateway, and supports `--json`.
    Json,
}

impl CliCommand {
    fn local(&self) -> Local {
        match self {
            Self::Hero(_)
            | Self::Meal(_)
            | Self::Order(_)
            | Self::Watch(_)
            | Self::Health(_)
            | Self::Doctor => Local::No,
            Self::Migrate(_) | Self::Completions(_) => Local::Text,
            Self::Token(_) | Self::Backup(_) => Local::Json,
        }
    }
}

/// Serves, or runs the command.
pub fn run(galley: Galley, matches: &ArgMatches) -> ExitCode {
    let Galley { remote, serve, command } = galley;
    let json = remote.json;
    let Some(command) = command else {
        return if serve.check.check {
            doctor_command::run(&serve, matches, None)
        } else {
            embedded::run(serve)
        };
    };
    let done = match command {
        CliCommand::Doctor => return doctor_command::run(&serve, matches, Some(remote)),
        CliCommand::Migrate(arguments) => return migrate::run(arguments),
        CliCommand::Backup(arguments) => return backup_command::run(arguments, json),
        CliCommand::Completions(arguments) => completions::run(&arguments),
        CliCommand::Token(arguments) => token_command::run(&arguments, json),
        CliCommand::Hero(command) => ask(hero_commands::run(command, remote)),
        CliCommand::Meal(command) => ask(meal_commands::run(command, remote)),
        CliCommand::Order(command) => ask(order_commands::run(command, remote)),
        CliCommand::Watch(arguments) => ask(watch::run(arguments, remote)),
        CliCommand::Health(arguments) => {
            let done = ask(health_command::run(arguments, remote));
            // Docker and similar programs know only 0 and 1.
            return done.map_or_else(
                |error| {
                    error.report(json);
                    ExitCode::FAILURE
                },
                |()| ExitCode::SUCCESS,
            );
        }
    };
    done.map_or_else(|error| error.report(json), |()| ExitCode::SUCCESS)
}

/// Runs a command that asks a gateway. One thread is enough, because a command sends one request at
/// a time.
fn ask(command: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::failed)?;
    runtime.block_on(command)
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _};

    use super::Galley;
    use super::arguments::tests::read;

    fn each(command: &Command, visit: &mut impl FnMut(&Command)) {
        visit(command);
        command.get_subcommands().for_each(|inner| each(inner, visit));
    }

    #[test]
    fn the_command_line_is_sound() {
        Galley::command().debug_assert();
    }

    #[test]
    fn the_help_prints_no_value_of_a_variable_that_may_hold_a_secret() {
        let mut seen = 0;
        each(&Galley::command(), &mut |command| {
            for argument in command.get_arguments() {
                let Some(variable) = argument.get_env().and_then(|name| name.to_str()) else {
                    continue;
                };
                if ["DATABASE_URL", "REDIS_URL", "SECRET", "TOKEN"]
                    .iter()
                    .any(|word| variable.contains(word))
                {
                    assert!(argument.is_hide_env_values_set(), "{} {variable}", command.get_name());
                    seen += 1;
                }
            }
        });
        assert!(seen >= 8, "only {seen} variables found");
    }

    #[test]
    fn every_argument_and_every_command_is_explained() {
        each(&Galley::command(), &mut |command| {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {}",
                    command.get_name(),
                    argument.get_id()
                );
            }
        });
    }

    #[test]
    fn the_examples_of_the_help_can_be_typed() {
        let mut seen = 0;
        each(&Galley::command(), &mut |command| {
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in after.lines().filter_map(|line| line.trim().strip_prefix("galley")) {
                let typed = line
                    .split("  ")
                    .next()
                    .unwrap_or_default()
                    .split(['>', '|'])
                    .next()
                    .unwrap_or_default();
                if let Err(error) = read(&words(typed)) {
                    panic!("{typed}: {error}");
                }
                seen += 1;
            }
        });
        assert!(seen >= 15, "only {seen} examples found");
    }

    /// Splits an example into words as a shell does.
    fn words(typed: &str) -> Vec<&str> {
        let quoted = typed.split('\'').enumerate();
        let words = quoted.flat_map(|(number, part)| {
            if number % 2 == 1 { vec![part] } else { part.split_whitespace().collect() }
        });
        std::iter::once("galley").chain(words).collect()
    }
}
