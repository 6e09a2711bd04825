//! The metrics and the traces of all programs.
//!
//! [`METRICS`] is the one table: each metric has its name, its kind, its labels with all their
//! values, and its explanation. `docs/metrics.md` is made from it, and [`install`] registers
//! every series of a program with the value 0, so that a rate sees the first event.
//!
//! A program that installs no recorder counts nothing: each `counter!` is then one atomic load.
//!
//! Traces go to a collector, by OTLP over HTTP. [`sample`] decides which requests are recorded, a
//! [`Span`] is one step of such a trace, [`BatchSpans`] are a step that many requests share, and
//! [`TraceExport`] sends ended spans. A program without a collector records nothing.

mod batch_spans;
mod metric_document;
mod metric_table;
mod recorder;
mod span;
mod trace_export;
mod trace_queue;
mod trace_sampling;

pub use batch_spans::BatchSpans;
pub use metric_document::document;
pub use metric_table::*;
pub use recorder::{install, render, upkeep};
pub use span::{Span, SpanKind};
pub use trace_export::{TraceExport, TraceSettings};
pub use trace_sampling::sample;
