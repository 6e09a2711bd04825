//! The decision which traces are recorded. Without a collector a request costs one atomic load.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use galley_protocol::TraceContext;

use crate::metric_table::TRACES_REFUSED;
use crate::span::{Span, SpanKind};

/// The most traces that callers may demand of this process in a second.
const MAX_DEMANDED: u64 = 100;

static SAMPLER: OnceLock<TraceSampler> = OnceLock::new();

#[derive(Debug)]
struct TraceSampler {
    /// The share of the requests to record that say nothing themselves.
    ratio: f64,
    demanded: DemandMeter,
}

/// Counts the traces that callers demand, from second to second.
#[derive(Debug)]
struct DemandMeter {
    began: Instant,
    /// The second in the upper half, its count in the lower half.
    window: AtomicU64,
}

/// Begins to record traces; later calls change nothing.
pub(crate) fn begin(ratio: f64) {
    let demanded = DemandMeter { began: Instant::now(), window: AtomicU64::new(0) };
    SAMPLER.get_or_init(|| TraceSampler { ratio, demanded });
}

/// Decides whether the trace of a request from outside is recorded, and begins its span.
///
/// A caller that names its own span decides itself, within bounds: `may_demand` is asked whether
/// this caller may have one more trace, and the process has a bound for all callers. Beyond them
/// the request is not recorded, and counted. A part of the other requests is recorded by chance.
#[must_use]
pub fn sample(
    kind: SpanKind,
    named: Option<&TraceContext>,
    may_demand: impl FnOnce() -> bool,
    name: impl FnOnce() -> Cow<'static, str>,
) -> Option<Span> {
    let sampler = SAMPLER.get()?;
    match named {
        Some(named) if !named.sampled => None,
        Some(named) if may_demand() && sampler.demanded.take() => {
            Some(Span::begin(name(), kind, named, SystemTime::now()))
        }
        Some(_) => {
            metrics::counter!(TRACES_REFUSED).increment(1);
            None
        }
        None => (rand::random::<f64>() < sampler.ratio).then(|| Span::first(name(), kind)),
    }
}

impl DemandMeter {
    fn take(&self) -> bool {
        let second = self.began.elapsed().as_secs() << 32;
        let next = |window: u64| match window.checked_sub(second) {
            Some(count) if count >= MAX_DEMANDED => None,
            Some(_) => Some(window + 1),
            None => Some(second + 1),
        };
        self.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::time::{Duration, Instant};

    use super::{DemandMeter, MAX_DEMANDED};

    #[test]
    fn each_second_has_its_bound_of_demanded_traces() {
        let mut meter = DemandMeter { began: Instant::now(), window: AtomicU64::new(0) };
        let taken = (0..1_000).filter(|_| meter.take()).count();
        assert!(u64::try_from(taken).is_ok_and(|taken| (MAX_DEMANDED..1_000).contains(&taken)));
        let earlier = meter.began.checked_sub(Duration::from_secs(7));
        meter.began = earlier.expect("this machine runs for longer");
        assert!(meter.take(), "another second");
    }
}
