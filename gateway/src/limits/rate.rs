//! Rates, and meters of eight bytes that hold a client to one.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use thiserror::Error;

use super::bounded_map::Forgettable;

/// Maximum of the count and of the burst of a rate.
pub const MAX_COUNT: u32 = 1_000_000;
/// Minimum and maximum of a rate of bytes and of its burst.
const BYTES: std::ops::RangeInclusive<u32> = 1_024..=1_000_000_000;

/// A number of requests in a time, and a burst: the number at once after an idle time. Written
/// `50/s burst 100`, `600/min` or `unlimited`. The default burst is what two seconds allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Nanoseconds for each request; 0 for no limit.
    period: u64,
    burst: u32,
}

/// A number of bytes in a time, and a burst, written `64KiB/s burst 8MiB` or `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRate(pub RateLimit);

/// The text is not a rate.
#[derive(Clone, Copy, Debug, Error)]
pub enum NoRate {
    #[error(
        "must be like `50/s`, `50/s burst 100`, `600/min` or `unlimited`, each number from 1 to {MAX_COUNT}"
    )]
    Count,
    #[error(
        "must be like `64KiB/s`, `64KiB/s burst 8MiB` or `unlimited`, each size from 1KiB to 1GB"
    )]
    Bytes,
}

/// The use of a rate by one client, by the generic cell rate algorithm (ITU-T I.371). It keeps only
/// the moment at which the whole burst is available again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateVerdict {
    Taken {
        /// Number of further requests that are allowed at once.
        left: u32,
        /// Time until the whole burst is available again.
        whole_in: Duration,
    },
    /// It is refused, and would be allowed after this time.
    Wait(Duration),
}

impl RateLimit {
    /// `count` requests a second, and `burst` at once.
    pub const fn each_second(count: u32, burst: u32) -> Self {
        Self { period: 1_000_000_000 / count as u64, burst }
    }

    pub const UNLIMITED: Self = Self { period: 0, burst: MAX_COUNT };

    #[must_use]
    pub const fn is_unlimited(self) -> bool {
        self.period == 0
    }

    #[must_use]
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// The time in which a used burst becomes available again.
    #[must_use]
    pub const fn window(self) -> Duration {
        Duration::from_nanos(self.period * self.burst as u64)
    }
}

impl FromStr for RateLimit {
    type Err = NoRate;

    fn from_str(text: &str) -> Result<Self, NoRate> {
        let number =
            |text: &str| text.parse().ok().filter(|number| (1..=MAX_COUNT).contains(number));
        Self::parse(text, MAX_COUNT, number).ok_or(NoRate::Count)
    }
}

impl FromStr for ByteRate {
    type Err = NoRate;

    fn from_str(text: &str) -> Result<Self, NoRate> {
        let size = |text: &str| {
            let size = text.parse::<ByteSize>().ok()?.as_u64();
            u32::try_from(size).ok().filter(|size| BYTES.contains(size))
        };
        RateLimit::parse(text, *BYTES.end(), size).map(Self).ok_or(NoRate::Bytes)
    }
}

impl RateLimit {
    fn parse(text: &str, most: u32, number: impl Fn(&str) -> Option<u32>) -> Option<Self> {
        if text == "unlimited" {
            return Some(Self::UNLIMITED);
        }
        let mut words = text.split_ascii_whitespace();
        let (count, unit) = words.next().and_then(|rate| rate.split_once('/'))?;
        let count = number(count)?;
        let second = 1_000_000_000;
        let unit = match unit {
            "s" => second,
            "min" => 60 * second,
            "h" => 3_600 * second,
            _ => return None,
        };
        let period = unit / u64::from(count);
        let burst = match (words.next(), words.next(), words.next()) {
            (None, ..) => u32::try_from((2 * second / period).max(1)).unwrap_or(most).min(most),
            (Some("burst"), Some(burst), None) => number(burst)?,
            _ => return None,
        };
        Some(Self { period, burst })
    }
}

impl Display for RateLimit {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        if self.is_unlimited() {
            return formatter.write_str("unlimited");
        }
        write!(formatter, "one every {:?}, burst {}", Duration::from_nanos(self.period), self.burst)
    }
}

impl Meter {
    /// Takes one request now, if the rate allows it.
    pub fn take(&mut self, rate: RateLimit) -> RateVerdict {
        self.take_at(rate, now())
    }

    /// Takes one request at a moment of [`now`]'s clock, if the rate allows it.
    pub fn take_at(&mut self, rate: RateLimit, now: u64) -> RateVerdict {
        self.take_many_at(rate, 1, now)
    }

    /// Takes this many units at once, and the burst if they are more.
    pub fn take_many_at(&mut self, rate: RateLimit, units: u32, now: u64) -> RateVerdict {
        let units = units.min(rate.burst);
        // Nanoseconds of the burst in use, and the most of them that leaves room for the units.
        let used = self.0.saturating_sub(now);
        let most = rate.period * u64::from(rate.burst - units);
        if used > most {
            return RateVerdict::Wait(Duration::from_nanos(used - most));
        }
        let used = used + rate.period * u64::from(units);
        self.0 = now + used;
        let whole = rate.period * u64::from(rate.burst);
        // Without a limit the period is 0.
        let left = (whole - used).checked_div(rate.period).unwrap_or(u64::from(rate.burst));
        RateVerdict::Taken {
            left: u32::try_from(left).unwrap_or(rate.burst),
            whole_in: Duration::from_nanos(used),
        }
    }
}

/// A meter with its whole burst is as good as a new one.
impl Forgettable for Meter {
    fn as_new_at(&self) -> u64 {
        self.0
    }
}

/// Nanoseconds since the first call in this process.
#[must_use]
pub fn now() -> u64 {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(BEGAN.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ByteRate, Meter, RateLimit, RateVerdict};

    const SECOND: u64 = 1_000_000_000;

    fn rate(text: &str) -> RateLimit {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn rates_are_read() {
        assert_eq!(rate("50/s"), rate("50/s burst 100"));
        assert_eq!(rate("600/min"), rate("10/s  burst 20"));
        assert_eq!(rate("1/h"), rate("1/h burst 1"));
        assert_eq!(rate("1000000/s"), rate("1000000/s burst 1000000"));
        assert_eq!(rate("unlimited"), RateLimit::UNLIMITED);
        assert_eq!(rate("50/s").window(), Duration::from_secs(2));
        for wrong in [
            "",
            "50",
            "0/s",
            "50/d",
            "-1/s",
            "50/s burst",
            "50/s burst 0",
            "50/s of 3",
            "50/s burst 1 2",
            "1e3/s",
            "1000001/s",
        ] {
            assert!(wrong.parse::<RateLimit>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn rates_of_bytes_are_read() {
        let rate = |text: &str| text.parse::<ByteRate>().map(|rate| rate.0.window().as_secs()).ok();
        assert_eq!(rate("64KiB/s burst 8MiB"), Some(127), "nanoseconds for a byte are rounded");
        assert_eq!(rate("1MiB/s"), Some(1), "two seconds, rounded as well");
        for wrong in ["", "64KiB", "1/s", "2GB/s", "64KiB/s burst", "64KiB/s burst 1", "50/s"] {
            assert_eq!(rate(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn many_units_cost_as_much_as_each_of_them() {
        let (rate, mut meter) = (rate("10/s burst 30"), Meter::default());
        let mut take = |units, now| meter.take_many_at(rate, units, now);
        assert!(matches!(take(20, SECOND), RateVerdict::Taken { left: 10, .. }));
        assert_eq!(take(20, SECOND), RateVerdict::Wait(Duration::from_secs(1)));
        assert!(matches!(take(20, 2 * SECOND), RateVerdict::Taken { left: 0, .. }));
        assert!(
            matches!(take(1_000, 5 * SECOND), RateVerdict::Taken { left: 0, .. }),
            "more than the burst is possible, when the whole burst is there"
        );
    }

    #[test]
    fn a_burst_then_the_rate_and_after_a_silence_a_burst_again() {
        let rate = rate("10/s burst 3");
        let mut meter = Meter::default();
        let mut take = |now| meter.take_at(rate, now);
        for left in [2, 1, 0] {
            let whole_in = Duration::from_millis(100) * (3 - left);
            assert_eq!(take(SECOND), RateVerdict::Taken { left, whole_in });
        }
        assert_eq!(take(SECOND), RateVerdict::Wait(Duration::from_millis(100)));
        assert_eq!(take(SECOND + SECOND / 20), RateVerdict::Wait(Duration::from_millis(50)));
        assert!(matches!(take(SECOND + SECOND / 10), RateVerdict::Taken { left: 0, .. }));
        assert!(
            matches!(take(SECOND + SECOND / 10), RateVerdict::Wait(_)),
            "being refused costs nothing, and gains nothing"
        );
        assert!(matches!(take(10 * SECOND), RateVerdict::Taken { left: 2, .. }));
    }

    #[test]
    fn in_the_long_run_it_is_the_rate_however_greedy_the_client() {
        let rate = rate("50/s burst 100");
        let mut meter = Meter::default();
        let taken = (0..10_000)
            .filter(|at| {
                matches!(meter.take_at(rate, at * SECOND / 1_000), RateVerdict::Taken { .. })
            })
            .count();
        assert_eq!(
            taken,
            100 + 50 * 10 - 1,
            "ten seconds, a try each millisecond, the last before the last one is due"
        );
    }

    #[test]
    fn no_limit_is_none() {
        let mut meter = Meter::default();
        assert!(
            (0..1_000).all(|_| matches!(
                meter.take_at(RateLimit::UNLIMITED, 1),
                RateVerdict::Taken { .. }
            ))
        );
    }
}
