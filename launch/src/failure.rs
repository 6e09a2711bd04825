//! Why a program ends, and its exit code.

use std::fmt::Display;
use std::io::{Write as _, stderr};
use std::process::ExitCode;

use thiserror::Error;

/// Why a program ends other than by doing all it was asked for. `Display` is one line for people.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Failure {
    /// A request that makes no sense: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// It went wrong: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// Somebody asked it to stop, or nobody reads its output any more: exit code 0, not a word.
    #[error("stopped")]
    Stopped,
}

impl Failure {
    /// Something went wrong; the text says what, in one line.
    pub fn failed(why: impl Display) -> Self {
        Self::Failed(why.to_string())
    }

    /// The exit code that tells of this end.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::Stopped => 0,
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
        }
    }

    /// Says on standard error why the program ends, and gives its exit code. Nobody need read it.
    #[must_use]
    pub fn report(result: Result<(), Self>) -> ExitCode {
        let Err(failure) = result else { return ExitCode::SUCCESS };
        if let Some(line) = failure.line() {
            let _ = writeln!(stderr(), "{line}");
        }
        failure.code().into()
    }

    /// The line that says why the program ends; none for an end that somebody asked for.
    pub(crate) fn line(&self) -> Option<String> {
        (*self != Self::Stopped).then(|| format!("error: {}", one_line(&self.to_string())))
    }
}

/// A failure is one line, whatever its cause put into the text.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Failure, one_line};

    #[test]
    fn each_end_has_its_exit_code() {
        assert_eq!(Failure::Stopped.code(), 0);
        assert_eq!(Failure::failed("the disk is full").code(), 1);
        assert_eq!(Failure::Usage("no such colour".to_owned()).code(), 2);
    }

    #[test]
    fn a_failure_is_one_line() {
        assert_eq!(
            one_line("the database refused:\n  no\tspace"),
            "the database refused: no space"
        );
    }
}
