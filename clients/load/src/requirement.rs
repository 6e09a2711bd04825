//! Requirements on the result: `ack_p99<50ms`, `lost=0`, `orders_per_s>=1000`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::measures::{Counts, Latency, QUANTILES, RATES};

/// A comparison of a measured figure with a bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    name: String,
    comparison: Comparison,
    bound: f64,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Below,
    AtMost,
    Above,
    AtLeast,
    Equal,
}

/// The signs, longer ones first, because `<=` begins with `<`.
const COMPARISONS: [(&str, Comparison); 6] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("==", Comparison::Equal),
    ("<", Comparison::Below),
    (">", Comparison::Above),
    ("=", Comparison::Equal),
];

impl Requirement {
    /// The name of the figure.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns true if the requirement holds. A figure that was never measured meets none.
    pub fn holds(&self, value: Option<f64>) -> bool {
        value.is_some_and(|value| match self.comparison {
            Comparison::Below => value < self.bound,
            Comparison::AtMost => value <= self.bound,
            Comparison::Above => value > self.bound,
            Comparison::AtLeast => value >= self.bound,
            Comparison::Equal => (value - self.bound).abs() < 1e-9,
        })
    }
}

impl Requirement {
    /// Returns true if the value cannot come to meet the requirement again: an upper bound is
    /// passed.
    pub fn is_broken(&self, value: Option<f64>) -> bool {
        value.is_some_and(|value| match self.comparison {
            Comparison::Below => value >= self.bound,
            Comparison::AtMost | Comparison::Equal => value > self.bound,
            Comparison::Above | Comparison::AtLeast => false,
        })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl FromStr for Requirement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sign = text
            .find(['<', '>', '='])
            .ok_or("must compare something, as in ack_p99<50ms or lost=0")?;
        let (name, rest) = (text[..sign].trim(), &text[sign..]);
        let (sign, comparison) =
            COMPARISONS.iter().find(|(sign, _)| rest.starts_with(sign)).expect("a sign is there");
        let bound = rest[sign.len()..].trim();
        let bound = if is_latency(name) {
            let time = humantime::parse_duration(bound)
                .map_err(|_| format!("{name} is a time, as in {name}<50ms"))?;
            millis(time)
        } else if Counts::default().each().any(|(count, ..)| count == name) || RATES.contains(&name)
        {
            bound.parse().map_err(|_| format!("{name} is a number, as in {name}=0"))?
        } else {
            return Err(format!("nothing is called {name:?}; there are {}", names()));
        };
        Ok(Self { name: name.to_owned(), comparison: *comparison, bound, text: text.to_owned() })
    }
}

fn is_latency(name: &str) -> bool {
    name.rsplit_once('_').is_some_and(|(latency, quantile)| {
        Latency::ALL.iter().any(|known| known.word() == latency)
            && QUANTILES.iter().any(|(known, _)| *known == quantile)
            || Latency::ALL.iter().any(|known| known.word() == latency)
                && ["mean", "max"].contains(&quantile)
    })
}

fn names() -> String {
    let latencies =
        Latency::ALL.iter().map(|latency| latency.word()).collect::<Vec<_>>().join(", ");
    let counts = Counts::default().each().map(|(name, ..)| name).collect::<Vec<_>>().join(", ");
    format!(
        "{latencies}, each with _p50, _p90, _p95, _p99, _p999, _mean or _max; {}; {counts}",
        RATES.join(", ")
    )
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::Requirement;

    #[test]
    fn a_requirement_is_a_name_a_sign_and_a_bound() {
        for (text, value, holds) in [
            ("ack_p99<50ms", 49.9, true),
            ("ack_p99 < 50ms", 50.0, false),
            ("push_max<=1s", 1_000.0, true),
            ("lost=0", 0.0, true),
            ("lost==0", 1.0, false),
            ("orders_per_s>=1000", 1_000.0, true),
            ("frames>10", 10.0, false),
        ] {
            let requirement: Requirement =
                text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(requirement.holds(Some(value)), holds, "{text}");
            assert!(!requirement.holds(None), "{text}: what was never measured");
            assert_eq!(requirement.is_broken(Some(value)), !holds && !text.contains('>'), "{text}");
            assert_eq!(requirement.to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_measured_cannot_be_required() {
        for wrong in ["ack<5ms", "ack_p98<5ms", "ack_p99<5", "lost=none", "gold>1", "lost", ""] {
            assert!(wrong.parse::<Requirement>().is_err(), "{wrong:?}");
        }
    }
}
