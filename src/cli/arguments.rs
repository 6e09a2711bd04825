//! Reads the command line.
//!
//! The options of [`Remote`] may be given before and after a command. Clap cannot check for
//! conflicts across the two places, so they are checked here: options for serving together with a
//! command, options for asking a gateway without one.

use std::ffi::OsStr;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use super::api::Remote;
use super::error::CommandError;
use super::{CliCommand, Galley, Local};
use crate::embedded::ServeArguments;

/// Reads the arguments of this process. Help and version are printed, and end the process here.
pub fn read() -> Result<(Galley, ArgMatches), CommandError> {
    let (galley, matches) = galley_launch::try_parse::<Galley>().map_err(|error| bad(&error))?;
    let galley = checked(galley, &matches)?;
    Ok((galley, matches))
}

/// Returns true if `--json` was typed, for arguments that are wrong themselves.
pub fn wants_json() -> bool {
    std::env::args_os()
        .skip(1)
        .take_while(|typed| typed != OsStr::new("--"))
        .any(|typed| typed == OsStr::new("--json"))
}

fn bad(error: &clap::Error) -> CommandError {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return CommandError::usage("a command is missing; --help lists them");
    }
    CommandError::usage(galley_launch::one_line::<Galley>(error).trim_start_matches("error: "))
}

/// Refuses options that exclude each other, and lets the command line win over the environment.
fn checked(mut galley: Galley, matches: &ArgMatches) -> Result<Galley, CommandError> {
    let of_serving = || typed::<ServeArguments>(matches);
    let of_asking = || typed::<Remote>(matches);
    match &galley.command {
        None => {
            if let Some(option) = of_asking() {
                return Err(CommandError::usage(format!(
                    "{option} is for commands that ask a gateway, and no command is given; --help lists them"
                )));
            }
        }
        Some(command) => {
            let name = matches.subcommand_name().unwrap_or_default();
            let serving = of_serving().filter(|_| !matches!(command, CliCommand::Doctor));
            if let Some(option) = serving {
                return Err(CommandError::usage(format!(
                    "{option} before a command is for serving; `galley {name}` does not serve"
                )));
            }
            let local = command.local();
            let option = match local {
                Local::No => None,
                Local::Text => of_asking(),
                Local::Json => of_asking().filter(|option| option != "--json"),
            };
            if let Some(option) = option {
                return Err(CommandError::usage(format!(
                    "{option} does nothing here: `galley {name}` asks no gateway"
                )));
            }
        }
    }
    let source = |id: &str| matches.value_source(id);
    match (source("token"), source("token_file")) {
        (Some(ValueSource::CommandLine), Some(ValueSource::CommandLine)) => {
            return Err(CommandError::usage("--token and --token-file cannot be used together"));
        }
        (Some(ValueSource::CommandLine), _) => galley.remote.token_file = None,
        (_, Some(ValueSource::CommandLine)) => galley.remote.token = None,
        (_, _) => {}
    }
    Ok(galley)
}

/// Returns the first of these options that was typed, in the form in which it is typed.
fn typed<A: clap::Args>(matches: &ArgMatches) -> Option<String> {
    let options = A::augment_args(Command::new("options"));
    let typed = options.get_arguments().find(|option| {
        matches.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine)
    })?;
    typed.get_long().map(|long| format!("--{long}"))
}

#[cfg(test)]
pub mod tests {
    use clap::{CommandFactory as _, FromArgMatches as _};

    use super::{Galley, checked};

    /// Reads a command line as [`super::read`] does.
    pub fn read(words: &[&str]) -> Result<Galley, String> {
        let matches =
            Galley::command().try_get_matches_from(words).map_err(|error| error.to_string())?;
        let galley = Galley::from_arg_matches(&matches).map_err(|error| error.to_string())?;
        checked(galley, &matches).map_err(|error| error.to_string())
    }

    #[test]
    fn options_that_ask_may_stand_before_and_after_the_command() {
        for words in [
            &["galley", "--url", "http://a:1", "--json", "hero", "list"][..],
            &["galley", "hero", "--url", "http://a:1", "--json", "list"],
            &["galley", "hero", "list", "--url", "http://a:1", "--json"],
            &["galley", "--url", "http://b:1", "hero", "list", "--json", "--url", "http://a:1"],
        ] {
            let galley = read(words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
            assert_eq!(
                (galley.remote.url.as_str(), galley.remote.json),
                ("http://a:1/", true),
                "{words:?}"
            );
        }
    }

    #[test]
    fn options_that_make_no_sense_together_are_refused() {
        for (words, part) in [
            (
                &["galley", "--no-seed", "meal", "list"][..],
                "--no-seed before a command is for serving",
            ),
            (
                &["galley", "--listen", "127.0.0.1:0", "watch"],
                "--listen before a command is for serving",
            ),
            (&["galley", "--url", "http://a:1"], "--url is for commands"),
            (&["galley", "--json"], "--json is for commands"),
            (
                &["galley", "migrate", "--database-url", "sqlite://a", "--url", "http://a:1"],
                "--url does nothing here",
            ),
            (&["galley", "--json", "completions", "bash"], "--json does nothing here"),
            (
                &["galley", "--token", "a", "hero", "list", "--token-file", "b"],
                "cannot be used together",
            ),
            (
                &["galley", "hero", "list", "--token", "a", "--token-file", "b"],
                "cannot be used together",
            ),
        ] {
            let refused = read(words).err().unwrap_or_default();
            assert!(refused.contains(part), "{words:?}: {refused}");
        }
        assert!(read(&["galley", "--no-seed"]).is_ok());
        assert!(read(&["galley", "--json", "token", "--staff"]).is_ok());
    }
}
