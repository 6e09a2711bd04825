//! Faults at random for as long as you like: rounds on fresh stacks, each with a seed of its own. Build all programs first.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use galley_tests::faults::Deployment;
use galley_tests::faults::round::Round;

/// How long the faults of one round last.
const ROUND: Duration = Duration::from_mins(1);
/// Every so many rounds the embedded service is broken instead.
const EMBEDDED_EVERY: u64 = 4;

/// Break the service at random and check that no promise is broken
#[derive(Parser)]
struct Options {
    /// How long; at least one round
    #[arg(long, default_value_t = 5, value_name = "MINUTES")]
    minutes: u64,
    /// The seed of the first round, each further one takes the next; random when absent
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Only this deployment; by default every fourth round is embedded
    #[arg(long, value_name = "WHICH", value_parser = ["embedded", "distributed"])]
    only: Option<String>,
    /// Keep the record and the logs of every round, not only of those that broke a promise
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Options { minutes, seed, only, keep } = Options::parse();
    let end = Instant::now() + Duration::from_mins(minutes);
    let first = seed.unwrap_or_else(|| rand::random_range(1..1_000_000));
    let mut failed = Vec::new();
    for number in 0.. {
        let deployment = match only.as_deref() {
            Some("embedded") => Deployment::Embedded,
            None if number % EMBEDDED_EVERY == EMBEDDED_EVERY - 1 => Deployment::Embedded,
            Some(_) | None => Deployment::Distributed,
        };
        let round = Round { deployment, seed: first + number, length: ROUND, keep };
        match round.play().await {
            Ok(report) => println!("{report}"),
            Err(failure) => {
                eprintln!("{failure}");
                failed.push(round.to_string());
            }
        }
        if Instant::now() >= end {
            break;
        }
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("{} rounds broke promises: {}", failed.len(), failed.join("; "));
    ExitCode::FAILURE
}
