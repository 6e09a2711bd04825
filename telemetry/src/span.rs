//! One step of a recorded trace.
//!
//! A span exists only if its trace is recorded, so that nothing else pays for it. A process
//! without a collector passes on the context that it received, so that the steps after it are
//! connected nevertheless.

use std::borrow::Cow;
use std::time::SystemTime;

use galley_protocol::{TraceContext, TraceId};
pub use opentelemetry::trace::SpanKind;
use opentelemetry::trace::{
    Link, SpanContext, SpanId, Status, TraceFlags, TraceId as OtlpTraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::trace_queue;

/// A step that has begun. Dropping it ends it, and hands it to the exporter.
#[derive(Debug)]
pub struct Span {
    context: TraceContext,
    /// `None` in a process without a collector.
    data: Option<Box<SpanData>>,
}

impl Span {
    /// Begins a step that another one caused.
    #[must_use]
    pub fn begin(
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        cause: &TraceContext,
        began: SystemTime,
    ) -> Self {
        if trace_queue::is_on() {
            Self::new(name.into(), kind, cause.trace_id, cause.span_id, began)
        } else {
            Self { context: *cause, data: None }
        }
    }

    /// Begins a step without a cause in a new trace.
    #[must_use]
    pub(crate) fn first(name: Cow<'static, str>, kind: SpanKind) -> Self {
        Self::new(name, kind, TraceId(random()), 0, SystemTime::now())
    }

    fn new(
        name: Cow<'static, str>,
        kind: SpanKind,
        trace_id: TraceId,
        cause: u64,
        began: SystemTime,
    ) -> Self {
        let context = TraceContext { trace_id, span_id: random(), sampled: true };
        let is_remote = matches!(kind, SpanKind::Server | SpanKind::Consumer);
        let data = SpanData {
            span_context: to_otlp(&context),
            parent_span_id: SpanId::from(cause),
            parent_span_is_remote: is_remote && cause != 0,
            span_kind: kind,
            name,
            start_time: began,
            end_time: began,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        };
        Self { context, data: Some(Box::new(data)) }
    }

    /// Returns the context for the steps that this one causes.
    #[must_use]
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// Adds an attribute.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(data) = &mut self.data {
            data.attributes.push(KeyValue::new(name, value));
        }
    }

    /// Notes that the step failed.
    pub fn fail(&mut self, why: impl Into<Cow<'static, str>>) {
        if let Some(data) = &mut self.data {
            data.status = Status::error(why);
        }
    }

    /// Links another step, which shares the work of this one.
    pub fn link(&mut self, other: &TraceContext) {
        if let Some(data) = &mut self.data {
            data.links.links.push(Link::with_context(to_otlp(other)));
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(mut data) = self.data.take() {
            // The clock may have been set back meanwhile.
            data.end_time = SystemTime::now().max(data.start_time);
            trace_queue::put(data);
        }
    }
}

fn to_otlp(context: &TraceContext) -> SpanContext {
    let (trace, span) = (OtlpTraceId::from(context.trace_id.0), SpanId::from(context.span_id));
    SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::NONE)
}

/// Returns a random id. It is never 0, which means that there is none.
fn random<T: PartialEq + Default>() -> T
where
    rand::distr::StandardUniform: rand::distr::Distribution<T>,
{
    loop {
        let id = rand::random();
        if id != T::default() {
            return id;
        }
    }
}
