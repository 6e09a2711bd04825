//! The lag from commit to write as the gateways measure it: the histogram
//! `galley_push_lag_seconds`, which is finer than the millisecond time stamps in frames.

use std::collections::BTreeMap;

use serde::Serialize;

const METRIC: &str = "galley_push_lag_seconds";

/// A cumulative histogram in the text format of Prometheus: for each bound in microseconds, the
/// number of values up to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets {
    below: BTreeMap<u64, u64>,
    count: u64,
    seconds: f64,
}

/// The push lags of a report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PushLag {
    /// The number of writes.
    pub count: u64,
    /// Mean, in milliseconds.
    pub mean_ms: f64,
    /// Median, in milliseconds, as the upper bound of its bucket; `None` above the greatest bound.
    pub p50_ms: Option<f64>,
    /// 99th percentile, likewise.
    pub p99_ms: Option<f64>,
}

impl Buckets {
    /// Parses the answer of `/metrics`.
    pub fn read(text: &str) -> Self {
        let mut buckets = Self::default();
        for line in text.lines().filter_map(|line| line.strip_prefix(METRIC)) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<f64>() else { continue };
            let bound = name
                .split_once("le=\"")
                .and_then(|(_, rest)| rest.split_once('"'))
                .map(|(bound, _)| bound);
            match (name.split('{').next(), bound.map(str::parse::<f64>)) {
                (Some("_bucket"), Some(Ok(bound))) if bound.is_finite() => {
                    *buckets.below.entry(whole(bound * 1e6)).or_default() += whole(value);
                }
                (Some("_count"), _) => buckets.count += whole(value),
                (Some("_sum"), _) => buckets.seconds += value,
                _ => {}
            }
        }
        buckets
    }

    /// Returns the lags of all gateways between two readings of each; `None` if there were none.
    pub fn between(readings: &[(Self, Self)]) -> Option<PushLag> {
        let mut sum = Self::default();
        for (before, after) in readings {
            sum.count += after.count.saturating_sub(before.count);
            sum.seconds += after.seconds - before.seconds;
            for (bound, count) in &after.below {
                *sum.below.entry(*bound).or_default() +=
                    count.saturating_sub(before.below.get(bound).copied().unwrap_or(0));
            }
        }
        (sum.count > 0).then(|| sum.describe())
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn describe(&self) -> PushLag {
        let quantile = |quantile: f64| {
            let wanted = self.count as f64 * quantile;
            let bucket = self.below.iter().find(|(_, count)| **count as f64 >= wanted);
            bucket.map(|(micros, _)| *micros as f64 / 1e3)
        };
        let mean_ms = self.seconds * 1e3 / self.count as f64;
        PushLag { count: self.count, mean_ms, p50_ms: quantile(0.5), p99_ms: quantile(0.99) }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and bounds are not negative"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests {
    use super::{Buckets, PushLag};

    fn reading(counts: [u64; 3], sum: f64) -> Buckets {
        let [one, two, all] = counts;
        Buckets::read(&format!(
            "# TYPE galley_push_lag_seconds histogram\ngalley_push_lag_seconds_bucket{{le=\"0.001\"}} {one}\n\
             galley_push_lag_seconds_bucket{{le=\"0.0025\"}} {two}\ngalley_push_lag_seconds_bucket{{le=\"+Inf\"}} {all}\n\
             galley_push_lag_seconds_sum {sum}\ngalley_push_lag_seconds_count {all}\ngalley_sockets 5\n"
        ))
    }

    #[test]
    fn what_happened_between_two_readings_is_told() {
        let lag = Buckets::between(&[(reading([10, 10, 10], 1.0), reading([70, 108, 110], 1.2))])
            .expect("something happened");
        assert_eq!(
            lag,
            PushLag { count: 100, mean_ms: 2.0, p50_ms: Some(1.0), p99_ms: None }.rounded(&lag)
        );
        assert!(Buckets::between(&[(reading([1, 1, 1], 1.0), reading([1, 1, 1], 1.0))]).is_none());
    }

    impl PushLag {
        /// Ignores the rounding error of the mean.
        fn rounded(self, other: &Self) -> Self {
            assert!((self.mean_ms - other.mean_ms).abs() < 1e-6);
            Self { mean_ms: other.mean_ms, ..self }
        }
    }
}
