//! Parses the command line: a bad value is one clear line and exit code 2. Every empty variable
//! counts as not set, because compose files and service managers pass `NAME=` for a setting that is
//! left open.

use std::ffi::{OsStr, OsString};
use std::io::{Write as _, stderr};
use std::process::exit;

use clap::builder::Resettable;
use clap::{Arg, ArgMatches, Command, Error, Parser};
use galley_protocol::harmless::harmless_line;

use crate::Failure;
use crate::log::say_in_json;
use crate::secret_files::with_secret_files;

/// The variable of [`crate::LogConfig`] that asks for a log in JSON.
const LOG_FORMAT: &str = "GALLEY_LOG_FORMAT";

/// Reads the command line and the environment. Help and version are printed; a bad value is one
/// line on standard error. Both end the process here.
#[must_use]
pub fn parse<C: Parser>() -> C {
    parse_with_sources().0
}

/// Like [`parse`], and also returns the source of each value.
#[must_use]
pub fn parse_with_sources<C: Parser>() -> (C, ArgMatches) {
    match try_parse() {
        Ok(read) => read,
        Err(error) => {
            let _ = writeln!(stderr(), "{}", one_line::<C>(&error));
            exit(2)
        }
    }
}

/// Reads the command line and the environment, and also returns the source of each value. Help and
/// version are printed, and end the process here. If the log would be in JSON, a bad value is
/// printed as its only line and ends the process as well.
///
/// # Errors
/// A bad value, or something unknown.
pub fn try_parse<C: Parser>() -> Result<(C, ArgMatches), Error> {
    try_parse_from(std::env::args_os().collect())
}

/// Like [`try_parse`], with these arguments in place of the command line.
///
/// # Errors
/// A bad value, or something unknown.
pub fn try_parse_from<C: Parser>(arguments: Vec<OsString>) -> Result<(C, ArgMatches), Error> {
    let command = C::command();
    let read = with_secret_files(command.clone()).and_then(|command| {
        let mut heeding = without_empty_variables(command);
        let matches = heeding.try_get_matches_from_mut(arguments)?;
        let program = C::from_arg_matches(&matches).map_err(|error| error.format(&mut heeding))?;
        Ok((program, matches))
    });
    read.inspect_err(|error| {
        if !error.use_stderr() {
            // Prints the help of the unchanged command, which also names the empty variables.
            command.clone().get_matches();
        }
        if asks_for_json(&command, std::env::args_os().skip(1), std::env::var_os(LOG_FORMAT)) {
            let line = one_line::<C>(error);
            say_in_json(stderr, &Failure::Usage(line.clone()), &line);
            exit(2);
        }
    })
}

/// Removes the empty variables from the command.
fn without_empty_variables(command: Command) -> Command {
    let is_empty =
        |arg: &Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    let command =
        command.mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg });
    command.mut_subcommands(without_empty_variables)
}

/// Returns true if the log would have been in JSON, for a command line that could not be read.
/// Commands without a log print one line for people.
fn asks_for_json(
    command: &Command,
    arguments: impl Iterator<Item = OsString>,
    variable: Option<OsString>,
) -> bool {
    let arguments: Vec<String> =
        arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
    let inner =
        arguments.iter().find_map(|argument| command.find_subcommand(argument)).unwrap_or(command);
    if !inner.get_arguments().any(|arg| arg.get_long() == Some("log-format")) {
        return false;
    }
    let pair = |words: &[String]| words[0] == "--log-format" && words[1] == "json";
    let flag = arguments.windows(2).any(pair)
        || arguments.iter().any(|argument| argument == "--log-format=json");
    flag || variable.is_some_and(|value| value == "json")
}

/// Joins clap's message, up to the usage, into one line. Each argument is named together with its
/// variable.
#[must_use]
pub fn one_line<C: Parser>(error: &Error) -> String {
    let text = error.render().to_string();
    let lines = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more "));
    let line = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let mut command = C::command();
    command.build();
    harmless_line(&name_variables(&command, line)).into_owned()
}

fn name_variables(command: &Command, mut line: String) -> String {
    let mut named = Vec::new();
    each(command, &mut |arg| {
        let Some(variable) = arg.get_env().and_then(OsStr::to_str) else { return };
        let name = arg.to_string();
        if !named.contains(&name) {
            let quoted = format!("'{name}'");
            let shown = if line.contains(&quoted) { &quoted } else { &name };
            line = line.replace(shown.as_str(), &format!("{shown} or {variable}"));
            named.push(name);
        }
    });
    line
}

fn each(command: &Command, visit: &mut impl FnMut(&Arg)) {
    command.get_arguments().for_each(&mut *visit);
    command.get_subcommands().for_each(|inner| each(inner, visit));
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::{asks_for_json, one_line};

    #[derive(Debug, Parser)]
    struct Program {
        #[arg(long)]
        number: u8,
        #[arg(long, env = "GALLEY_WORD_OF_A_TEST")]
        word: String,
        #[arg(long, default_value = "auto")]
        log_format: String,
    }

    #[test]
    fn whatever_is_wrong_fits_one_line() {
        for (arguments, expected) in [
            (
                &["p", "--number", "x", "--word", "y"][..],
                "error: invalid value 'x' for '--number <NUMBER>': invalid digit found in string",
            ),
            (
                &["p"],
                "error: the following required arguments were not provided: --number <NUMBER> --word <WORD> or GALLEY_WORD_OF_A_TEST",
            ),
            (
                &["p", "--numbr", "1"],
                "error: unexpected argument '--numbr' found tip: a similar argument exists: '--number'",
            ),
        ] {
            let error = Program::try_parse_from(arguments).expect_err("a bad command line");
            assert_eq!(one_line::<Program>(&error), expected);
        }
    }

    #[test]
    fn a_program_whose_log_would_be_in_json_fails_in_json() {
        let asks = |arguments: &[&str], variable: Option<&str>| {
            asks_for_json(
                &Program::command(),
                arguments.iter().map(Into::into),
                variable.map(Into::into),
            )
        };
        assert!(
            asks(&["--log-format", "json"], None)
                && asks(&["--log-format=json"], None)
                && asks(&[], Some("json"))
        );
        assert!(
            !asks(&[], None)
                && !asks(&["--log-format", "auto"], None)
                && !asks(&[], Some("pretty"))
        );
        let silent = clap::Command::new("p");
        assert!(!asks_for_json(&silent, std::iter::empty(), Some("json".into())));
    }
}
