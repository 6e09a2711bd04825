//! Measurements and counts. Each engine makes them and sends them once a second; the coordinator
//! adds them up.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2Serializer};
use serde::{Deserialize, Serialize, Serializer, de, ser};

/// Maximum distinct errors; further ones are counted as [`OTHER`].
const MAX_ERRORS: usize = 64;
/// The common name of errors beyond [`MAX_ERRORS`].
const OTHER: &str = "other errors";
/// Significant decimal digits of a recorded latency.
const DIGITS: u8 = 3;
/// The quantiles reported for each latency.
pub const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)];
/// The names of the rates in a report.
pub const RATES: [&str; 4] = ["orders_per_s", "ended_per_s", "frames_per_s", "opened_per_s"];

macro_rules! latencies {
    ($($name:ident $word:literal $explanation:literal)*) => {
        /// A time that is measured, in microseconds.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Latency {
            $(#[doc = $explanation] $name,)*
        }

        impl Latency {
            /// All latencies, in the order of the report.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }

            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$name => $explanation),* }
            }
        }
    };
}

latencies! {
    Connect "connect" "From the moment a socket was due to its upgrade."
    Welcome "welcome" "From the moment a socket was due to its first frame."
    Ack "ack" "From the moment an order was due to its answer."
    Cancel "cancel" "From the moment a cancellation was due to its answer."
    Delete "delete" "From the moment a deletion was due to its answer."
    Read "read" "From the moment a read of an order was due to its answer."
    Push "push" "From the time stamp of a change to its frame, on each socket of the hero."
    Final "final" "From the moment an order was due to the frame of its end, minus its preparation."
    Reconnect "reconnect" "From the end of a socket to the welcome of the next."
    Late "late" "From the moment an order was due to its being sent: how late this program itself was."
}

macro_rules! counts {
    ($($name:ident $explanation:literal)*) => {
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Counts {
            $(#[doc = $explanation] pub $name: u64,)*
        }

        impl AddAssign for Counts {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }

        impl Counts {
            pub fn each(&self) -> impl Iterator<Item = (&'static str, u64, &'static str)> {
                [$((stringify!($name), self.$name, $explanation)),*].into_iter()
            }
        }
    };
}

counts! {
    opened "Sockets that were welcomed, each time."
    cut "Sockets that ended although nobody here wanted it."
    dropped "Sockets that this program cut in a reconnect storm."
    given_up "Sockets that could not be opened after several attempts."
    placed "Orders that were sent."
    acked "Orders that were accepted."
    cancelled "Orders that were cancelled by a request."
    deleted "Ended orders that were deleted."
    read "Orders that were read."
    too_late "Requests about an order that had ended or was deleted meanwhile."
    refused "Requests that were refused; the errors say why."
    unanswered "Requests whose answer never came."
    unsent "Requests that were due and never sent, because no socket or connection was free in time."
    ended "Accepted orders whose end was seen."
    frames "Text frames received."
    bytes "Bytes received."
    pings "Pings answered."
    resyncs "Resync frames received."
    lost "Sockets that did not know the newest state of an order in the end, counted once for each such order."
    duplicated "Updates that came to a socket that had them; the promise is at least once."
    out_of_order "States that came to a socket that knew a newer one."
    skipped "Versions that a socket never saw because a newer state came merged."
    unchecked "Accepted orders, once for each socket, that could not be checked: the socket was not there from the beginning to the end."
}

#[derive(Debug, Default)]
pub struct Measures {
    pub counts: Counts,
    latencies: BTreeMap<Latency, Histogram<u64>>,
    errors: BTreeMap<String, u64>,
}

impl Measures {
    /// Records a latency in microseconds.
    pub fn record(&mut self, latency: Latency, micros: u64) {
        self.latencies
            .entry(latency)
            .or_insert_with(histogram)
            .record(micros)
            .expect("a histogram that grows takes every value");
    }

    pub fn error(&mut self, what: &str) {
        self.errors(what, 1);
    }

    pub fn latency(&self, latency: Latency) -> Option<&Histogram<u64>> {
        self.latencies.get(&latency).filter(|histogram| !histogram.is_empty())
    }

    /// Returns the errors, most frequent first.
    pub fn frequent_errors(&self) -> Vec<(&str, u64)> {
        let mut errors: Vec<_> =
            self.errors.iter().map(|(what, count)| (what.as_str(), *count)).collect();
        errors.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        errors
    }

    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }

    pub fn add(&mut self, other: &Self) {
        self.counts += other.counts;
        for (latency, histogram) in &other.latencies {
            let whole = self.latencies.entry(*latency).or_insert_with(self::histogram);
            whole.add(histogram).expect("a histogram that grows takes every value of another");
        }
        for (what, count) in &other.errors {
            self.errors(what, *count);
        }
    }

    fn errors(&mut self, what: &str, count: u64) {
        let known = self.errors.contains_key(what) || self.errors.len() < MAX_ERRORS;
        *self.errors.entry(if known { what } else { OTHER }.to_owned()).or_default() += count;
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new(DIGITS).expect("3 digits are allowed")
}

/// The JSON form of [`Measures`]. Histograms are in the V2 format of `HdrHistogram`, as base64.
#[derive(Serialize, Deserialize)]
struct WireBytes {
    counts: Counts,
    latencies: Vec<(String, String)>,
    errors: BTreeMap<String, u64>,
}

impl Serialize for Measures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut latencies = Vec::new();
        for (latency, histogram) in &self.latencies {
            let mut bytes = Vec::new();
            V2Serializer::new()
                .serialize(histogram, &mut bytes)
                .map_err(|error| ser::Error::custom(format!("{error:?}")))?;
            latencies.push((latency.word().to_owned(), STANDARD.encode(bytes)));
        }
        WireBytes { counts: self.counts, latencies, errors: self.errors.clone() }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Measures {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = WireBytes::deserialize(deserializer)?;
        let mut latencies = BTreeMap::new();
        for (word, text) in wire.latencies {
            let latency = Latency::ALL.iter().find(|latency| latency.word() == word);
            let latency =
                latency.ok_or_else(|| de::Error::custom(format!("no latency is called {word}")))?;
            let bytes = STANDARD.decode(text).map_err(de::Error::custom)?;
            let histogram = Deserializer::new().deserialize(&mut bytes.as_slice());
            latencies.insert(
                *latency,
                histogram.map_err(|error| de::Error::custom(format!("{error:?}")))?,
            );
        }
        Ok(Self { counts: wire.counts, latencies, errors: wire.errors })
    }
}

pub fn millis_at(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    millis(histogram.value_at_quantile(quantile))
}

pub fn millis(micros: u64) -> f64 {
    float(micros) / 1e3
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::{Latency, MAX_ERRORS, Measures};

    #[test]
    fn what_engines_send_adds_up_to_what_one_would_have_measured() {
        let (mut whole, mut sum) = (Measures::default(), Measures::default());
        for part in 0..4 {
            let mut measures = Measures::default();
            for micros in (1..2_000).map(|number| number * (part + 1)) {
                measures.record(Latency::Ack, micros);
                whole.record(Latency::Ack, micros);
            }
            measures.counts.placed += 3;
            measures.error("the gateway hung up");
            let sent = serde_json::to_string(&measures).expect("JSON");
            sum.add(&serde_json::from_str(&sent).expect("what was sent is understood"));
        }
        let greatest = sum.latency(Latency::Ack).map_or(0, hdrhistogram::Histogram::max);
        assert!((7_990..8_010).contains(&greatest), "{greatest}");
        let (sum_of_acks, whole) = (sum.latency(Latency::Ack), whole.latency(Latency::Ack));
        assert_eq!(sum_of_acks, whole);
        assert_eq!(
            (sum.counts.placed, sum.frequent_errors()),
            (12, vec![("the gateway hung up", 4)])
        );
        assert!(sum.latency(Latency::Push).is_none());
    }

    #[test]
    fn kinds_of_errors_are_bounded_and_none_is_lost() {
        let mut measures = Measures::default();
        for number in 0..1_000 {
            measures.error(&format!("error {number}"));
        }
        assert_eq!(measures.error_count(), 1_000);
        assert!(measures.frequent_errors().len() <= MAX_ERRORS + 1);
    }
}
