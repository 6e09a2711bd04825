//! Fuzzing on any Rust, for as long as you like.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use galley_fuzz::{TARGETS, run};

/// Feeds what reads the words of strangers with anything, until the time is over or something
/// panics.
#[derive(Parser)]
struct Arguments {
    /// Which targets; all when none is named
    targets: Vec<String>,
    /// How long each
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    seconds: u64,
    /// The same seed makes the same inputs; a new one each time when absent
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    let Arguments { targets, seconds, seed } = Arguments::parse();
    let seed = seed.unwrap_or_else(rand::random);
    for target in TARGETS
        .iter()
        .filter(|target| targets.is_empty() || targets.iter().any(|name| name == target.name))
    {
        match run(*target, Duration::from_secs(seconds), seed) {
            Ok(taken) => println!("{}: {taken} inputs, seed {seed}", target.name),
            Err(crash) => {
                let file = PathBuf::from(format!("crash-{}-{seed}", target.name));
                match std::fs::write(&file, &crash.input) {
                    Ok(()) => eprintln!(
                        "{}: the input is in {}; it belongs into the corpus",
                        target.name,
                        file.display()
                    ),
                    Err(error) => {
                        eprintln!("{}: {:?} (cannot write it: {error})", target.name, crash.input);
                    }
                }
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
