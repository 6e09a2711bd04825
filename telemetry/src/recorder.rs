//! The recorder of this process. The samples that it holds between two scrapes are bounded by
//! [`upkeep`].

use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

use crate::metric_table::{BUILD_INFO, METRICS, MeteredProgram, Metric, MetricKind};

/// Upper bounds of the buckets of a histogram of seconds.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Upper bounds of the buckets of a histogram of sizes, up to the largest batch.
const SIZES: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];

struct MetricRecorder {
    handle: PrometheusHandle,
    process: Collector,
}

static RECORDER: OnceLock<MetricRecorder> = OnceLock::new();

/// Installs the recorder, unless an earlier call has, and registers every series of `program` with
/// the value 0. Several programs in one process share the recorder.
pub fn install(program: MeteredProgram) {
    let recorder = RECORDER.get_or_init(|| {
        let buckets = |suffix: &str| Matcher::Suffix(suffix.to_owned());
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(buckets("_seconds"), &SECONDS)
            .and_then(|builder| builder.set_buckets_for_metric(buckets("_size"), &SIZES))
            .expect("the bounds are not empty")
            .build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another recorder of metrics is installed; /metrics stays empty");
        }
        MetricRecorder { handle, process: Collector::default() }
    });
    recorder.process.describe();
    METRICS.iter().filter(|metric| metric.program.is_part_of(program)).for_each(register);
    metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// Returns all series in the text format of Prometheus; nothing before [`install`].
#[must_use]
pub fn render() -> String {
    RECORDER.get().map_or_else(String::new, |recorder| {
        recorder.process.collect();
        recorder.handle.render()
    })
}

/// Moves the samples that histograms have gathered into their buckets. Callers repeat it every few
/// seconds: until then each sample is held.
pub fn upkeep() {
    if let Some(recorder) = RECORDER.get() {
        recorder.handle.run_upkeep();
    }
}

/// Registers a metric, and each of its series if the values of its labels are known.
fn register(metric: &Metric) {
    let Metric { name, kind, explanation, .. } = *metric;
    match kind {
        MetricKind::Counter => metrics::describe_counter!(name, explanation),
        MetricKind::Gauge => metrics::describe_gauge!(name, explanation),
        MetricKind::Seconds | MetricKind::Sizes => {
            metrics::describe_histogram!(name, explanation);
        }
    }
    for labels in series(metric) {
        match kind {
            MetricKind::Counter => metrics::counter!(name, &labels).increment(0),
            MetricKind::Gauge => metrics::gauge!(name, &labels).increment(0.0),
            MetricKind::Seconds | MetricKind::Sizes => drop(metrics::histogram!(name, &labels)),
        }
    }
}

/// Returns the labels of each series: every combination of the values.
fn series(metric: &Metric) -> Vec<Vec<(&'static str, &'static str)>> {
    metric.labels.iter().fold(vec![Vec::new()], |series, (label, values)| {
        let with = |begun: &Vec<_>, value| [begun.as_slice(), &[(*label, value)]].concat();
        series
            .iter()
            .flat_map(|begun| values.iter().map(move |value| with(begun, *value)))
            .collect()
    })
}
