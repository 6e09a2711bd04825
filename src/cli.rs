//! The command line: one file for each group of commands. Data goes to standard output, messages to standard error.

mod api;
mod backup;
mod completions;
mod health;
mod hero;
mod meal;
mod migrate;
mod order;
mod output;
mod paging;
mod problem;
mod token;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use galley_launch::Failure;

use crate::serve::ServeArguments;

/// Galley, a real-time ordering service for super-heroes.
///
/// Without a command it serves: the gateway, the worker, the dashboard and an embedded database in one process. The other
/// commands speak to a running gateway.
#[derive(Parser)]
#[command(name = "galley", version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct Galley {
    #[command(flatten)]
    pub serve: ServeArguments,
    #[command(subcommand)]
    pub command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  galley                                serve on http://127.0.0.1:8080
  galley --listen 127.0.0.1:0           serve on a free port, printed on standard output
  galley meal list                      the menu
  galley order place --hero 1 --meal 2  order
  galley watch --hero 1                 see each change of hero 1's orders as it happens";

/// What to do instead of serving.
#[derive(Subcommand)]
pub enum Command {
    /// List, read, create, change and delete heroes
    #[command(subcommand)]
    Hero(hero::HeroCommand),
    /// List, read, create, change and delete meals
    #[command(subcommand)]
    Meal(meal::MealCommand),
    /// List, read, place, cancel and delete orders
    #[command(subcommand)]
    Order(order::OrderCommand),
    /// Show each change of an order as it happens
    Watch(watch::WatchArguments),
    /// Bring the database's schema up to date; gateways and workers never do it themselves
    Migrate(migrate::MigrateArguments),
    /// Copy the embedded database into a file, while it is served or not
    Backup(backup::BackupArguments),
    /// Tell by the exit code whether a gateway or a worker is well
    Health(health::HealthArguments),
    /// Make a token with which a hero or staff shows who it is
    Token(token::TokenArguments),
    /// Print the completions of a shell
    Completions(completions::CompletionsArguments),
}

/// Does one command.
pub fn run(command: Command) -> ExitCode {
    match command {
        Command::Migrate(arguments) => migrate::run(arguments),
        Command::Backup(arguments) => backup::run(arguments),
        Command::Completions(arguments) => Failure::report(completions::run(&arguments)),
        Command::Token(arguments) => Failure::report(token::run(&arguments)),
        Command::Hero(command) => ask(hero::run(command)),
        Command::Meal(command) => ask(meal::run(command)),
        Command::Order(command) => ask(order::run(command)),
        Command::Watch(arguments) => ask(watch::run(arguments)),
        Command::Health(arguments) => ask(health::run(arguments)),
    }
}

/// One command asks one thing at a time: one thread is enough.
fn ask(command: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed);
    Failure::report(runtime.and_then(|runtime| runtime.block_on(command)))
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _, Parser as _};

    use super::Galley;

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
                let Some(variable) = argument.get_env().and_then(|name| name.to_str()) else { continue };
                if ["DATABASE_URL", "REDIS_URL", "SECRET", "TOKEN"].iter().any(|word| variable.contains(word)) {
                    assert!(argument.is_hide_env_values_set(), "{} {variable}", command.get_name());
                    seen += 1;
                }
            }
        });
        assert!(seen >= 10, "only {seen} variables found");
    }

    #[test]
    fn every_argument_and_every_command_is_explained() {
        each(&Galley::command(), &mut |command| {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
        });
    }

    #[test]
    fn the_examples_of_the_help_can_be_typed() {
        let mut seen = 0;
        each(&Galley::command(), &mut |command| {
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in after.lines().filter_map(|line| line.trim().strip_prefix("galley")) {
                let typed = line.split("  ").next().unwrap_or_default().split(" > ").next().unwrap_or_default();
                let words = std::iter::once("galley").chain(typed.split_whitespace());
                let words: Vec<String> = words.map(|word| word.replace('\'', "")).collect();
                if let Err(error) = Galley::try_parse_from(&words) {
                    panic!("{words:?}: {error}");
                }
                seen += 1;
            }
        });
        assert!(seen >= 15, "only {seen} examples found");
    }

    #[test]
    fn flags_for_serving_do_not_mix_with_commands() {
        assert!(Galley::try_parse_from(["galley", "--no-seed"]).is_ok());
        assert!(Galley::try_parse_from(["galley", "--no-seed", "meal", "list"]).is_err());
    }
}
