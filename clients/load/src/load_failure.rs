//! Failures, and the exit code of each.

use std::fmt::Display;
use std::io::{Write as _, stderr};
use std::process::ExitCode;

use galley_protocol::harmless::harmless;
use thiserror::Error;

/// The reason for a non-zero exit code, printed as one line.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LoadFailure {
    /// The command line is contradictory: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The test could not be run: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// The test ran, but a requirement does not hold: exit code 3. The report has the details.
    #[error("{0}")]
    Unmet(String),
    /// A signal stopped the test: exit code 130. The report covers the time until then.
    #[error("stopped early: the figures cover the time until then")]
    Interrupted,
}

impl LoadFailure {
    /// A [`LoadFailure::Failed`] with what failed and why.
    pub fn failed(what: &str, why: &dyn Display) -> Self {
        Self::Failed(format!("{what}: {why}"))
    }

    /// Prints the failure to standard error and returns the exit code.
    pub fn report(result: Result<(), Self>) -> ExitCode {
        let Err(failure) = result else { return ExitCode::SUCCESS };
        let _ = writeln!(stderr(), "error: {}", harmless(&failure.to_string()));
        match failure {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Unmet(_) => 3,
            Self::Interrupted => 130,
        }
        .into()
    }
}
