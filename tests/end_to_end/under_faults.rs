//! No promise is broken under the faults of one seed. `galley-faults` does the same with other
//! seeds, for any time.

use std::time::Duration;

use galley_tests::faults::FaultDeployment;
use galley_tests::faults::round::Round;

const SEED: u64 = 1;

async fn play(deployment: FaultDeployment, seed: u64, seconds: u64) {
    let round = Round { deployment, seed, length: Duration::from_secs(seconds), keep: false };
    match Box::pin(round.play()).await {
        Ok(report) => println!("{report}"),
        Err(failure) => panic!("{failure}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_promise_is_broken_by_the_faults_of_a_known_seed() {
    play(FaultDeployment::Distributed, SEED, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_promise_is_broken_when_the_embedded_service_is_killed_at_random_moments() {
    play(FaultDeployment::Embedded, SEED, 20).await;
}
