//! The queue of ended spans.
//!
//! One queue for the process; without a collector there is none. Nothing ever waits for the
//! collector: a full queue drops spans and counts them.

use std::sync::OnceLock;

use opentelemetry_sdk::trace::SpanData;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::metric_table::SPANS_DROPPED;

/// The most spans that wait for the exporter, about a megabyte.
const MAX_WAITING: usize = 2_048;

static QUEUE: OnceLock<Sender<Box<SpanData>>> = OnceLock::new();

/// Opens the queue. A process has one at most.
pub(crate) fn open() -> Result<Receiver<Box<SpanData>>, String> {
    let (spans, receiver) = channel(MAX_WAITING);
    let opened = QUEUE.set(spans);
    opened.map(|()| receiver).map_err(|_| "traces are exported already".to_owned())
}

pub(crate) fn is_on() -> bool {
    QUEUE.get().is_some()
}

/// Hands a span to the exporter, or drops and counts it.
pub(crate) fn put(span: Box<SpanData>) {
    if let Some(queue) = QUEUE.get()
        && queue.try_send(span).is_err()
    {
        metrics::counter!(SPANS_DROPPED, "reason" => "queue").increment(1);
    }
}
