//! `galley completions`

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::error::CommandError;
use super::{Galley, output};

/// For which shell.
#[derive(Args)]
#[command(after_help = "Example:\n  galley completions bash > /etc/bash_completion.d/galley")]
pub struct CompletionsArguments {
    /// Which shell
    shell: Shell,
}

/// Prints them.
pub fn run(arguments: &CompletionsArguments) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Galley::command(), "galley", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}
