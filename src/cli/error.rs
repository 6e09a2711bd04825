//! The error of a command: an exit code, a line for people, a problem for programs.

use std::fmt::{self, Display};
use std::process::ExitCode;

use galley_launch::Failure;
use galley_protocol::harmless::harmless;
use serde_json::{Value, json};

use super::api_problem::explain;
use super::exit::Exit;
use super::note::note;

/// The reason why a command ends early, or with another exit code than 0.
#[derive(Clone, Debug, PartialEq)]
pub enum CommandError {
    /// An end without a message: nobody reads the output any more, or the output contains the
    /// reason.
    Quiet(Exit),
    /// An end with a message on standard error.
    Because(Box<Because>),
}

/// A cause, for people and for programs.
#[derive(Clone, Debug, PartialEq)]
pub struct Because {
    exit: Exit,
    text: String,
    problem: Value,
}

impl CommandError {
    /// Creates an error of this program; its problem has the gateway's shape and its own type.
    pub fn local(exit: Exit, text: impl Into<String>) -> Self {
        let (slug, title, status) = exit.problem();
        let text = text.into();
        let problem = json!({"type": format!("urn:galley:{slug}"), "title": title, "status": status, "detail": text});
        Self::Because(Box::new(Because { exit, text, problem }))
    }

    pub fn usage(text: impl Into<String>) -> Self {
        Self::local(Exit::Usage, text)
    }

    /// Creates an error with exit code 1.
    pub fn failed(why: impl Display) -> Self {
        Self::local(Exit::Failed, why.to_string())
    }

    /// Creates the error of an unsuccessful answer: its problem as received, or its status if a
    /// proxy answered in place of the gateway.
    pub fn answered(status: u16, body: &str) -> Self {
        let exit = Exit::of_status(status);
        if let (Ok(problem), Some(text)) = (serde_json::from_str(body), explain(body)) {
            return Self::Because(Box::new(Because { exit, text, problem }));
        }
        let reason =
            reqwest::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        let reason = reason.map(|reason| format!(" {reason}")).unwrap_or_default();
        let text = format!(
            "the answer is {status}{reason}, and no problem of a Galley gateway; check --url"
        );
        Self::local(exit, text).with("status", status.into())
    }

    /// Sets a field of the problem of an error of this program.
    pub fn with(mut self, name: &str, value: Value) -> Self {
        if let Self::Because(because) = &mut self {
            because.problem[name] = value;
        }
        self
    }

    /// Puts `what` in front of the text.
    pub fn after(mut self, what: &str) -> Self {
        if let Self::Because(because) = &mut self {
            because.text = format!("{what}: {}", because.text);
        }
        self
    }

    pub fn exit(&self) -> Exit {
        match self {
            Self::Quiet(exit) => *exit,
            Self::Because(because) => because.exit,
        }
    }

    /// Prints the cause on standard error, as one line of text or JSON; returns the exit code.
    pub fn report(&self, json: bool) -> ExitCode {
        if let Self::Because(because) = self {
            note(&if json { because.problem.to_string() } else { format!("error: {self}") });
        }
        self.exit().code().into()
    }

    /// Returns the problem, for an error that is printed without ending the command.
    pub fn problem(&self) -> Option<&Value> {
        match self {
            Self::Quiet(_) => None,
            Self::Because(because) => Some(&because.problem),
        }
    }
}

/// Formats the line for people. It is one line, whatever the text of the cause contains.
impl Display for CommandError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quiet(_) => formatter.write_str("stopped"),
            Self::Because(because) => formatter.write_str(&harmless(&because.text)),
        }
    }
}

impl From<Failure> for CommandError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Stopped => Self::Quiet(Exit::Done),
            Failure::Usage(text) => Self::usage(text),
            Failure::Failed(text) => Self::failed(text),
        }
    }
}

/// Converts the error of a command that runs within [`galley_launch::run`].
impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        let text = error.to_string();
        match error {
            CommandError::Quiet(_) => Self::Stopped,
            CommandError::Because(because) if because.exit == Exit::Usage => Self::Usage(text),
            CommandError::Because(_) => Self::Failed(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Because, CommandError};
    use crate::cli::exit::Exit;

    fn because(error: CommandError) -> Because {
        match error {
            CommandError::Because(because) => *because,
            CommandError::Quiet(exit) => panic!("{exit:?}"),
        }
    }

    #[test]
    fn a_local_cause_has_the_shape_of_a_problem() {
        let Because { exit, problem, .. } =
            because(CommandError::local(Exit::Unreachable, "cannot reach http://a:1"));
        assert_eq!(exit.code(), 9);
        let expected = r#"{"detail":"cannot reach http://a:1","status":503,"title":"Unreachable","type":"urn:galley:unreachable"}"#;
        assert_eq!(problem, serde_json::from_str::<serde_json::Value>(expected).expect("JSON"));
    }

    #[test]
    fn a_problem_stays_as_it_came() {
        let body = r#"{"type":"/problems/hero-not-found","title":"Hero not found","status":404,"detail":"there is no hero 1","x":1}"#;
        let error = CommandError::answered(404, body);
        assert_eq!(error.to_string(), "Hero not found: there is no hero 1");
        let Because { exit, problem, .. } = because(error);
        assert_eq!((exit, &problem["x"]), (Exit::NotFound, &1.into()));
    }

    #[test]
    fn what_a_proxy_answers_becomes_a_problem() {
        let error = CommandError::answered(502, "<html>\n<h1>Bad Gateway</h1>");
        assert_eq!(
            error.to_string(),
            "the answer is 502 Bad Gateway, and no problem of a Galley gateway; check --url"
        );
        let Because { exit, problem, .. } = because(error);
        assert_eq!((exit, &problem["status"]), (Exit::Unreachable, &502.into()));
    }
}
