//! The pauses between attempts to read the database.

use std::time::Duration;

use rand::RngExt as _;

/// The pause after the first failure. It doubles with each further one.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(8);

/// Returns the pause after `failures` earlier failures. It is random, because many reads may fail
/// at once and must not all return at the same moment.
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
