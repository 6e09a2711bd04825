//! Why the program ends other than well.

use std::fmt::Display;
use std::io::{Write as _, stderr};
use std::process::ExitCode;

use thiserror::Error;

/// Why the program ends other than well; one line for people.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Failure {
    /// A request that makes no sense: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The test could not be made: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// It was made, and something that was required does not hold: exit code 3. The table says
    /// what.
    #[error("{0}")]
    Unmet(String),
    /// Somebody stopped it: exit code 130. The table tells of what was measured until then.
    #[error("stopped early: the figures tell of what was done until then")]
    Interrupted,
}

impl Failure {
    /// Something went wrong.
    pub fn failed(what: &str, why: &dyn Display) -> Self {
        Self::Failed(format!("{what}: {why}"))
    }

    /// Says on standard error why the program ends, and gives its exit code.
    pub fn report(result: Result<(), Self>) -> ExitCode {
        let Err(failure) = result else { return ExitCode::SUCCESS };
        let _ = writeln!(stderr(), "error: {failure}");
        match failure {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Unmet(_) => 3,
            Self::Interrupted => 130,
        }
        .into()
    }
}
