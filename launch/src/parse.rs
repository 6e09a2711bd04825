//! The command line: a bad value is one clear line and exit code 2.

use std::process::exit;

use clap::{Error, Parser};

/// Reads the command line and the environment. Help and version are printed; a bad value is one line on standard error.
/// Both end the process here.
#[must_use]
pub fn parse<C: Parser>() -> C {
    C::try_parse().unwrap_or_else(|error| {
        if !error.use_stderr() {
            error.exit();
        }
        eprintln!("{}", one_line(&error));
        exit(2)
    })
}

/// What clap would say on several lines, up to its usage.
fn one_line(error: &Error) -> String {
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
