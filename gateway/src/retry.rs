//! The pauses before a read of the database is tried again.

use std::time::Duration;

use rand::RngExt as _;

/// The pause after the first failure; twice as long after each further one.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(8);

/// The pause after so many failures before. Many may fail at once: each comes back at its own
/// moment.
pub fn pause_after(failures: u32) -> Duration {
    let pause = FIRST.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST);
    pause.mul_f64(rand::rng().random_range(0.5..1.0))
}

#[cfg(test)]
mod tests {
    use super::{FIRST, LONGEST, pause_after};

    #[test]
    fn pauses_grow_up_to_a_bound_and_differ() {
        assert!((FIRST / 2..FIRST).contains(&pause_after(0)));
        assert!((FIRST..2 * FIRST).contains(&pause_after(1)));
        for failures in [3, 40, u32::MAX] {
            assert!((LONGEST / 2..LONGEST).contains(&pause_after(failures)));
        }
        assert_ne!(pause_after(9), pause_after(9));
    }
}
