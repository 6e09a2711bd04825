//! Waiting times between attempts.

use std::time::Duration;

/// Waiting times that double up to a bound. Each is shortened by a random part of up to a half, so
/// that many waiting tasks do not retry at the same moment.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    /// From 50 ms to 1 s: for a database or a Redis that is unreachable.
    pub const AWAY: Self = Self::new(Duration::from_millis(50), Duration::from_secs(1));

    /// Creates waiting times from `first` to `most`.
    #[must_use]
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, next: first }
    }

    /// Returns the next waiting time.
    pub fn delay(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(self.most);
        whole.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// Sleeps for the next waiting time.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.delay()).await;
    }

    /// Starts again with the first waiting time, after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Backoff;

    #[test]
    fn waiting_times_double_up_to_the_bound() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(350));
        for whole in [100, 200, 350, 350] {
            let delay = backoff.delay();
            assert!(
                (Duration::from_millis(whole) / 2..=Duration::from_millis(whole)).contains(&delay),
                "{whole}: {delay:?}"
            );
        }
        backoff.reset();
        assert!(backoff.delay() <= Duration::from_millis(100));
    }
}
