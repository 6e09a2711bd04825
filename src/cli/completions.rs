//! `galley completions`

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::error::CommandError;
use super::{Galley, output};

/// The completions to print.
#[derive(Args)]
#[command(after_help = "Example:\n  galley completions bash > /etc/bash_completion.d/galley")]
pub struct CompletionsArguments {
    /// Shell to complete in
    shell: Shell,
}

/// Prints the completions.
pub fn run(arguments: &CompletionsArguments) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Galley::command(), "galley", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}
