//! Random faults for any time: rounds on fresh stacks, each with its own seed. Build all programs
//! first.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, value_parser};
use galley_tests::Pooler;
use galley_tests::faults::FaultDeployment;
use galley_tests::faults::round::Round;

/// Break the service at random and check that no promise is broken
#[derive(Parser)]
struct Options {
    /// How long the faults last, all rounds together
    #[arg(long, default_value_t = 6, value_name = "MINUTES", value_parser = value_parser!(u64).range(1..))]
    minutes: u64,
    /// How many rounds share that time, each on a fresh stack with the next seed; one a minute when
    /// absent
    #[arg(long, value_name = "NUMBER", value_parser = value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// The seed of the first round; random when absent
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Only this deployment; by default the seed chooses, and six seeds in a row have all
    #[arg(long, value_name = "WHICH")]
    deployment: Option<FaultDeployment>,
    /// Keep the record and the logs of every round, not only of those that broke a promise
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Options { minutes, seeds, seed, deployment, keep } = Options::parse();
    let first = seed.unwrap_or_else(|| rand::random_range(1..1_000_000));
    let seeds = seeds.unwrap_or(minutes);
    let length = Duration::from_secs(minutes * 60 / seeds);
    let rounds = (first..first + seeds).map(|seed| {
        let deployment = deployment.unwrap_or_else(|| FaultDeployment::of_seed(seed));
        Round { deployment, seed, length, keep }
    });
    let rounds: Vec<Round> = rounds.collect();
    if rounds.iter().any(|round| round.deployment == FaultDeployment::Pooled)
        && !Pooler::is_installed()
    {
        eprintln!(
            "PgBouncer is not installed: install the package `pgbouncer`, or choose another --deployment"
        );
        return ExitCode::FAILURE;
    }
    println!("{seeds} seeds from {first}, {} s each", length.as_secs());
    let mut failed = Vec::new();
    for round in rounds {
        match Box::pin(round.play()).await {
            Ok(report) => println!("{report}"),
            Err(failure) => {
                eprintln!("{failure}");
                failed.push(round.to_string());
            }
        }
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("{} rounds broke promises: {}", failed.len(), failed.join("; "));
    ExitCode::FAILURE
}
