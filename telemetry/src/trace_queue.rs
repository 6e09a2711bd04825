//! The queue of ended spans, and the decision which traces are recorded.
//!
//! One queue for the process. Without a collector there is none, and a request costs one atomic
//! load. Nothing ever waits for the collector: a full queue drops spans and counts them.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use galley_protocol::TraceContext;
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::metric_table::{SPANS_DROPPED, TRACES_REFUSED};
use crate::span::{Span, SpanKind};

/// The most spans that wait for the exporter, about a megabyte.
const MAX_WAITING: usize = 2_048;
/// The most traces that callers may demand of this process in a second.
const MAX_DEMANDED: u64 = 100;

static QUEUE: OnceLock<TraceQueue> = OnceLock::new();

#[derive(Debug)]
struct TraceQueue {
    spans: Sender<Box<SpanData>>,
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

/// Opens the queue. A process has one at most.
pub(crate) fn open(ratio: f64) -> Result<Receiver<Box<SpanData>>, String> {
    let (spans, receiver) = channel(MAX_WAITING);
    let demanded = DemandMeter { began: Instant::now(), window: AtomicU64::new(0) };
    let opened = QUEUE.set(TraceQueue { spans, ratio, demanded });
    opened.map(|()| receiver).map_err(|_| "traces are exported already".to_owned())
}

pub(crate) fn is_on() -> bool {
    QUEUE.get().is_some()
}

/// Hands a span to the exporter, or drops and counts it.
pub(crate) fn put(span: Box<SpanData>) {
    if let Some(queue) = QUEUE.get()
        && queue.spans.try_send(span).is_err()
    {
        metrics::counter!(SPANS_DROPPED, "reason" => "queue").increment(1);
    }
}

/// Decides whether the trace of a request from outside is recorded, and begins its span.
///
/// A caller that names its own span decides itself, within bounds: `may_demand` is asked whether
/// this caller may have one more trace, and the process has a bound for all callers. Beyond them
/// the request is not recorded, and counted. A part of the other requests is recorded by chance.
pub fn sample(
    kind: SpanKind,
    named: Option<&TraceContext>,
    may_demand: impl FnOnce() -> bool,
    name: impl FnOnce() -> Cow<'static, str>,
) -> Option<Span> {
    let queue = QUEUE.get()?;
    match named {
        Some(named) if !named.sampled => None,
        Some(named) if may_demand() && queue.demanded.take() => {
            Some(Span::begin(name(), kind, named, std::time::SystemTime::now()))
        }
        Some(_) => {
            metrics::counter!(TRACES_REFUSED).increment(1);
            None
        }
        None => (rand::random::<f64>() < queue.ratio).then(|| Span::first(name(), kind)),
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
        assert!(u64::try_from(taken).is_ok_and(|taken| taken >= MAX_DEMANDED && taken < 1_000));
        meter.began = Instant::now() - Duration::from_secs(7);
        assert!(meter.take(), "another second");
    }
}
