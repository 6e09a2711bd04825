//! Waits for services that are not reachable yet.
//!
//! A program waits only at its start, before it takes any work. No attempt begins later than
//! `--wait` after the start, however many services the program waits for. Each failed attempt is
//! one line in the log, and a signal ends the wait. Once the program serves, it must not wait here:
//! every caller gets its answer at once.

use std::fmt::Display;
use std::time::Duration;

use clap::Args;
use rand::RngExt as _;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::Failure;

/// The pause after the first attempt. It doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// The longest time of one attempt.
const ATTEMPT: Duration = Duration::from_secs(10);

/// The wait for services at startup.
#[derive(Args, Clone, Copy, Debug)]
pub struct WaitConfig {
    /// How long to wait at startup for the database, its schema and Redis; 0s tries once
    #[arg(long, env = "GALLEY_WAIT", value_name = "DURATION", default_value = "30s", value_parser = crate::parse_duration)]
    pub wait: Duration,
}

/// The deadline of the wait, and the token that ends it early.
#[derive(Clone, Debug)]
pub struct Patience {
    deadline: Instant,
    wait: Duration,
    stop: CancellationToken,
}

/// The reason why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotYet {
    /// A failure that may pass.
    Again(String),
    /// A failure that no further attempt can cure.
    Never(Failure),
}

impl NotYet {
    /// Creates a failure that may pass; `why` describes it.
    pub fn again(why: impl Display) -> Self {
        Self::Again(why.to_string())
    }
}

impl WaitConfig {
    /// Begins the wait: its time runs from this call.
    #[must_use]
    pub fn begin(&self, stop: &CancellationToken) -> Patience {
        Patience { deadline: Instant::now() + self.wait, wait: self.wait, stop: stop.clone() }
    }
}

impl Patience {
    /// Repeats `attempt` until it succeeds, with jittered exponential back-off. At the deadline the
    /// last reason becomes the failure.
    ///
    /// # Errors
    /// [`Failure::Failed`] when the time is up, [`Failure::Stopped`] after a signal, or the failure
    /// of [`NotYet::Never`].
    pub async fn wait_for<T>(
        &self,
        what: &str,
        attempt: impl AsyncFnMut() -> Result<T, NotYet>,
    ) -> Result<T, Failure> {
        self.wait_with(what, ATTEMPT, attempt).await
    }

    /// Like [`Patience::wait_for`], without a bound on the time of one attempt.
    ///
    /// # Errors
    /// Like those of [`Patience::wait_for`].
    pub async fn wait_for_work<T>(
        &self,
        what: &str,
        attempt: impl AsyncFnMut() -> Result<T, NotYet>,
    ) -> Result<T, Failure> {
        self.wait_with(what, Duration::MAX, attempt).await
    }

    async fn wait_with<T>(
        &self,
        what: &str,
        limit: Duration,
        mut attempt: impl AsyncFnMut() -> Result<T, NotYet>,
    ) -> Result<T, Failure> {
        let mut pause = FIRST_PAUSE;
        for number in 1_u32.. {
            let outcome = tokio::select! {
                outcome = timeout(limit, attempt()) => outcome,
                () = self.stop.cancelled() => return Err(Failure::Stopped),
            };
            let why = match outcome {
                Ok(Ok(there)) => {
                    if number > 1 {
                        info!(attempt = number, "{what} is ready");
                    }
                    return Ok(there);
                }
                Ok(Err(NotYet::Never(failure))) => return Err(failure),
                Ok(Err(NotYet::Again(why))) => why,
                Err(_) => format!("no answer within {}", humantime::format_duration(limit)),
            };
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let waited = humantime::format_duration(self.wait);
                return Err(Failure::Failed(format!(
                    "{what} was not ready within {waited}: {why}"
                )));
            }
            let next = jittered(pause).min(left);
            warn!(
                attempt = number,
                next_ms = u64::try_from(next.as_millis()).unwrap_or(u64::MAX),
                "waiting for {what}: {why}"
            );
            tokio::select! {
                () = sleep(next) => {}
                () = self.stop.cancelled() => return Err(Failure::Stopped),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        unreachable!("the deadline comes long before 2^32 attempts")
    }
}

/// Returns a random time between half the pause and the pause, so that many processes do not try
/// again at the same moment.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;

    use super::{ATTEMPT, NotYet, WaitConfig, jittered};
    use crate::Failure;

    const WAIT: WaitConfig = WaitConfig { wait: Duration::from_secs(30) };

    #[tokio::test(start_paused = true)]
    async fn what_comes_late_is_waited_for() {
        let patience = WAIT.begin(&CancellationToken::new());
        let mut attempts = 0;
        let there = patience
            .wait_for("the database", async || {
                attempts += 1;
                if attempts < 4 { Err(NotYet::again("connection refused")) } else { Ok(attempts) }
            })
            .await;
        assert_eq!(there, Ok(4));
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_is_kept_and_its_failure_tells_why() {
        let begin = Instant::now();
        let patience = WAIT.begin(&CancellationToken::new());
        let failure = patience
            .wait_for::<()>("the database", async || Err(NotYet::again("connection refused")))
            .await;
        let expected = "the database was not ready within 30s: connection refused";
        assert_eq!(failure, Err(Failure::Failed(expected.to_owned())));
        assert!(
            begin.elapsed() >= WAIT.wait && begin.elapsed() < WAIT.wait + Duration::from_secs(1)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_hangs_is_given_up() {
        let begin = Instant::now();
        let patience = WaitConfig { wait: Duration::ZERO }.begin(&CancellationToken::new());
        let failure = patience.wait_for::<()>("Redis", async || std::future::pending().await).await;
        assert_eq!(
            failure,
            Err(Failure::Failed("Redis was not ready within 0s: no answer within 10s".to_owned()))
        );
        assert!(begin.elapsed() >= ATTEMPT);
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_is_under_way_is_not_given_up() {
        let patience = WAIT.begin(&CancellationToken::new());
        let done = patience.wait_for_work("the schema", async || {
            tokio::time::sleep(WAIT.wait * 100).await;
            Ok(())
        });
        assert_eq!(done.await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_cured_is_not_tried_again() {
        let patience = WAIT.begin(&CancellationToken::new());
        let mut attempts = 0;
        let bad = Failure::Usage("no such scheme".to_owned());
        let failure = patience
            .wait_for::<()>("the database", async || {
                attempts += 1;
                Err(NotYet::Never(bad.clone()))
            })
            .await;
        assert_eq!((failure, attempts), (Err(bad), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_ends_the_wait() {
        let stop = CancellationToken::new();
        let patience = WAIT.begin(&stop);
        let failure = patience
            .wait_for::<()>("the database", async || {
                stop.cancel();
                Err(NotYet::again("connection refused"))
            })
            .await;
        assert_eq!(failure, Err(Failure::Stopped));
    }

    #[test]
    fn a_pause_is_never_longer_than_meant() {
        let pause = Duration::from_secs(1);
        for _ in 0..1_000 {
            assert!((pause / 2..=pause).contains(&jittered(pause)));
        }
    }
}
