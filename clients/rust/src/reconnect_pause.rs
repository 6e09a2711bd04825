//! How long to wait before the next attempt.

use std::time::Duration;

use rand::RngExt;

/// Pauses with full jitter: anything from nothing to a bound that doubles with each attempt. So the
/// clients of a restarted gateway spread over the whole time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconnectPause {
    /// The bound of the first pause.
    pub first: Duration,
    /// The bound of every pause.
    pub longest: Duration,
}

impl Default for ReconnectPause {
    fn default() -> Self {
        Self { first: Duration::from_millis(250), longest: Duration::from_secs(10) }
    }
}

impl ReconnectPause {
    /// Returns the pause after so many failures before the last one.
    pub fn after(self, failures: u32, random: &mut impl RngExt) -> Duration {
        self.bound(failures).mul_f64(random.random_range(0.0..=1.0))
    }

    fn bound(self, failures: u32) -> Duration {
        self.first.saturating_mul(1 << failures.min(20)).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::ReconnectPause;

    #[test]
    fn pauses_double_up_to_the_bound_and_have_full_jitter() {
        let millis = Duration::from_millis;
        let pauses = ReconnectPause { first: millis(100), longest: millis(1_000) };
        let bounds = [0, 1, 2, 3, 4, u32::MAX].map(|failures| pauses.bound(failures));
        assert_eq!(bounds, [100, 200, 400, 800, 1_000, 1_000].map(millis));
        let mut random = rand::rng();
        let drawn: Vec<_> = (0..200).map(|_| pauses.after(0, &mut random)).collect();
        assert!(drawn.iter().all(|pause| *pause <= millis(100)));
        assert!(drawn.iter().any(|pause| *pause < millis(50)), "full jitter");
    }
}
