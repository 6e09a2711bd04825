//! The command line: a bad value is one clear line and exit code 2.

use std::process::exit;

use clap::{ArgMatches, Error, Parser};

/// Reads the command line and the environment. Help and version are printed; a bad value is one line on standard error.
/// Both end the process here.
#[must_use]
pub fn parse<C: Parser>() -> C {
    match try_parse() {
        Ok((program, _)) => program,
        Err(error) => {
            eprintln!("{}", one_line(&error));
            exit(2)
        }
    }
}

/// Reads the command line and the environment, and also gives what was typed where. Help and version are printed, and end the
/// process here.
///
/// # Errors
/// A bad value, or something unknown.
pub fn try_parse<C: Parser>() -> Result<(C, ArgMatches), Error> {
    let read = || {
        let matches = C::command().try_get_matches()?;
        C::from_arg_matches(&matches).map(|program| (program, matches))
    };
    read().map_err(|error| if error.use_stderr() { error } else { error.exit() })
}

/// The one line of what clap would say on several, up to its usage.
#[must_use]
pub fn one_line(error: &Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::one_line;

    #[derive(Debug, Parser)]
    struct Program {
        #[arg(long)]
        number: u8,
        #[arg(long)]
        word: String,
    }

    #[test]
    fn whatever_is_wrong_fits_one_line() {
        for (arguments, expected) in [
            (
                &["p", "--number", "x", "--word", "y"][..],
                "error: invalid value 'x' for '--number <NUMBER>': invalid digit found in string",
            ),
            (&["p"], "error: the following required arguments were not provided: --number <NUMBER> --word <WORD>"),
            (&["p", "--numbr", "1"], "error: unexpected argument '--numbr' found tip: a similar argument exists: '--number'"),
        ] {
            let error = Program::try_parse_from(arguments).expect_err("a bad command line");
            assert_eq!(one_line(&error), expected);
        }
    }
}
