//! The programs, run on the command line.

use std::process::Output;

use serde_json::Value;

use crate::TestClient;
use crate::patience::within;
use crate::program::{command, path_of};

/// The output and the exit code of a command.
#[derive(Debug)]
pub struct CommandOutput {
    /// The exit code.
    pub code: i32,
    /// The standard output: data.
    pub stdout: String,
    /// The standard error: messages.
    pub stderr: String,
}

/// Runs a program of this workspace with these arguments and variables to its end.
pub async fn run(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> CommandOutput {
    let mut command = tokio::process::Command::from(command(path_of(program)));
    command
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(std::env::temp_dir())
        .kill_on_drop(true);
    let what = format!("{program} {}", arguments.join(" "));
    let Output { status, stdout, stderr } =
        within(&what, command.output()).await.expect("it can be run");
    let text = |bytes| String::from_utf8(bytes).expect("the programs speak UTF-8");
    CommandOutput {
        code: status.code().expect("no signal ended it"),
        stdout: text(stdout),
        stderr: text(stderr),
    }
}

impl TestClient {
    /// Runs `galley` with these arguments against this gateway.
    pub async fn galley(&self, arguments: &[&str]) -> CommandOutput {
        let token = self.token().map(|token| ("GALLEY_TOKEN", token));
        let variables: Vec<(&str, &str)> =
            token.into_iter().chain([("GALLEY_URL", self.base())]).collect();
        run("galley", arguments, &variables).await
    }

    /// Like [`TestClient::galley`] with `--json`; expects success and returns the output.
    pub async fn galley_json(&self, arguments: &[&str]) -> Value {
        let said = self.galley(&[arguments, &["--json"]].concat()).await;
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{arguments:?}: {said:?}");
        if said.stdout.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&said.stdout).expect("JSON")
        }
    }
}
