//! The reasons for the end of a program, and its exit codes.

use std::fmt::Display;
use std::io::{Write as _, stderr};
use std::process::ExitCode;

use galley_protocol::harmless::harmless;
use thiserror::Error;

/// The reason why a program ended before it was done. `Display` is one line for people.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Failure {
    /// A request that makes no sense: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Any other failure: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// A request to stop, or an output that nobody reads any more: exit code 0, no message.
    #[error("stopped")]
    Stopped,
}

impl Failure {
    /// Creates a failure with this one-line reason.
    pub fn failed(why: impl Display) -> Self {
        Self::Failed(why.to_string())
    }

    /// Returns the exit code.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::Stopped => 0,
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
        }
    }

    /// Prints the reason on standard error, and returns the exit code. A failure to print is
    /// ignored.
    #[must_use]
    pub fn report(result: Result<(), Self>) -> ExitCode {
        let Err(failure) = result else { return ExitCode::SUCCESS };
        if let Some(line) = failure.line() {
            let _ = writeln!(stderr(), "{line}");
        }
        failure.code().into()
    }

    /// Returns the line with the reason; `None` after a request to stop. A cause may contain line
    /// breaks, and texts of others.
    pub(crate) fn line(&self) -> Option<String> {
        (*self != Self::Stopped).then(|| format!("error: {}", harmless(&self.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;

    #[test]
    fn each_end_has_its_exit_code() {
        assert_eq!(Failure::Stopped.code(), 0);
        assert_eq!(Failure::failed("the disk is full").code(), 1);
        assert_eq!(Failure::Usage("no such colour".to_owned()).code(), 2);
    }

    #[test]
    fn a_failure_is_one_line() {
        let failure = Failure::failed("the database refused:\n  no\tspace\u{202e}");
        assert_eq!(failure.line().as_deref(), Some("error: the database refused: no space·"));
    }
}
