//! `docs/metrics.md`, made from the table.

use std::fmt::Write as _;

use crate::metric_table::{METRICS, MeteredProgram, MetricKind};

const HEAD: &str = "\
# Metrics

`GET /metrics` of the gateway, and `/metrics` on `GALLEY_METRICS_LISTEN` of every program, answer in the text format of Prometheus. The embedded
`galley` has the metrics of both programs. Besides these each program has `process_*`: processor time, memory, open files, threads and start time.
Every series exists from the start with the value 0. The values of a label *at runtime* are known only to the running
program, which begins with those that it can foresee.

Made from the table in [`telemetry/src/metric_table.rs`](../telemetry/src/metric_table.rs); a test compares them.

| metric | kind | program | labels | meaning |
|---|---|---|---|---|
";

/// Returns the text of `docs/metrics.md`.
#[must_use]
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    for metric in METRICS {
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Seconds => "histogram, seconds",
            MetricKind::Sizes => "histogram, entries",
        };
        let program = match metric.program {
            MeteredProgram::Gateway => "gateway",
            MeteredProgram::Worker => "worker",
            MeteredProgram::Both => "both",
        };
        let labels = metric.labels.iter().map(|(label, values)| match values {
            [] => format!("`{label}` at runtime"),
            values => format!("`{label}`: {}", values.join(", ")),
        });
        let labels = labels.collect::<Vec<_>>().join("; ");
        let (name, explanation) = (metric.name, metric.explanation);
        writeln!(text, "| `{name}` | {kind} | {program} | {labels} | {explanation} |")
            .expect("writing to memory does not fail");
    }
    text
}
