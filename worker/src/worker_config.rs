//! The settings of a worker.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use thiserror::Error;

/// The longest preparation that can be set.
const MOST: Duration = Duration::from_hours(24);

/// The settings of a worker.
#[derive(Args, Clone, Debug, Default)]
pub struct WorkerConfig {
    /// Simulated preparation of an order, uniform random; `0s` = none, `2s` = always two seconds
    #[arg(long, env = "GALLEY_PROCESSING_DELAY", value_name = "RANGE", default_value_t)]
    pub processing_delay: ProcessingDelay,
}

/// The range of preparation times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessingDelay {
    least: Duration,
    most: Duration,
}

/// The error for a text that is not a [`ProcessingDelay`].
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("must be a time like 500ms or a range like 1s..5s, rising, of at most 24h")]
pub struct DelayError;

impl ProcessingDelay {
    /// No delay.
    pub const NONE: Self = Self { least: Duration::ZERO, most: Duration::ZERO };

    /// Returns the range, from the least to the most.
    #[must_use]
    pub const fn range(self) -> RangeInclusive<Duration> {
        self.least..=self.most
    }
}

impl Default for ProcessingDelay {
    fn default() -> Self {
        Self { least: Duration::from_secs(1), most: Duration::from_secs(5) }
    }
}

impl FromStr for ProcessingDelay {
    type Err = DelayError;
    fn from_str(text: &str) -> Result<Self, DelayError> {
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        let time = |text: &str| humantime::parse_duration(text.trim()).map_err(|_| DelayError);
        let (least, most) = (time(least)?, time(most)?);
        if least <= most && most <= MOST { Ok(Self { least, most }) } else { Err(DelayError) }
    }
}

impl fmt::Display for ProcessingDelay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = humantime::format_duration;
        if self.least == self.most {
            return time(self.most).fmt(formatter);
        }
        write!(formatter, "{}..{}", time(self.least), time(self.most))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{DelayError, ProcessingDelay};

    #[test]
    fn a_delay_is_a_time_or_a_rising_range() {
        let millis = |least, most| Ok(Duration::from_millis(least)..=Duration::from_millis(most));
        for (text, range) in [
            ("1s..5s", millis(1_000, 5_000)),
            ("0s", millis(0, 0)),
            ("2s", millis(2_000, 2_000)),
            ("10ms .. 1m", millis(10, 60_000)),
            ("5s..1s", Err(DelayError)),
            ("1s..", Err(DelayError)),
            ("..", Err(DelayError)),
            ("-1s", Err(DelayError)),
            ("5", Err(DelayError)),
            ("25h", Err(DelayError)),
            ("", Err(DelayError)),
        ] {
            assert_eq!(text.parse().map(ProcessingDelay::range), range, "{text}");
        }
    }

    #[test]
    fn the_default_is_written_as_it_is_read() {
        assert_eq!(ProcessingDelay::default().to_string(), "1s..5s");
        assert_eq!(ProcessingDelay::NONE.to_string().parse(), Ok(ProcessingDelay::NONE));
    }
}
