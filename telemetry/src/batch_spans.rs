//! The spans of one statement for many requests.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::SystemTime;

use galley_protocol::TraceContext;

use crate::{Span, SpanKind};

/// The most links of a span. A batch with more recorded requests links to the first of them.
const MAX_LINKS: usize = 32;

/// The statement as a step of each recorded trace in the batch. Each of these spans links to the
/// other requests. Without a recorded trace it is empty, and takes no memory.
#[derive(Debug)]
pub struct BatchSpans<K>(HashMap<K, Span>);

impl<K: Copy + Eq + Hash> BatchSpans<K> {
    /// Begins the step for the requests that are recorded, each under its key; `size` is the
    /// number of all requests.
    #[must_use]
    pub fn begin(
        name: &'static str,
        kind: &SpanKind,
        causes: impl Iterator<Item = (K, TraceContext)>,
        (size, began): (usize, SystemTime),
    ) -> Self {
        let causes: Vec<(K, TraceContext)> = causes.collect();
        let spans = causes.iter().map(|(key, cause)| {
            let mut span = Span::begin(name, kind.clone(), cause, began);
            span.set("messaging.batch.message_count", i64::try_from(size).unwrap_or(i64::MAX));
            for (_, other) in causes.iter().take(MAX_LINKS) {
                span.link(other);
            }
            (*key, span)
        });
        Self(spans.collect())
    }

    /// Returns true if no request is recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the context for the steps that follow in the trace of this request.
    #[must_use]
    pub fn context(&self, key: K) -> Option<TraceContext> {
        self.0.get(&key).map(Span::context)
    }

    /// Returns the contexts of all recorded requests.
    #[must_use]
    pub fn contexts(&self) -> HashMap<K, TraceContext> {
        self.0.iter().map(|(key, span)| (*key, span.context())).collect()
    }

    /// Returns the span of each recorded request.
    pub fn spans(&mut self) -> impl Iterator<Item = (K, &mut Span)> {
        self.0.iter_mut().map(|(key, span)| (*key, span))
    }

    /// Notes that the statement failed.
    pub fn fail(&mut self, why: &str) {
        self.spans().for_each(|(_, span)| span.fail(why.to_owned()));
    }
}
