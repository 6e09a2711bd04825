//! The report in the text format of Prometheus. Times are in seconds.

use std::fmt::Write as _;

use super::Report;
use crate::measures::{Latency, QUANTILES};

/// Renders the figures of a running test.
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: &str| {
        write!(
            text,
            "# HELP galley_load_{name} {help}\n# TYPE galley_load_{name} {kind}\n{samples}"
        )
        .expect("memory takes it");
    };
    for (name, count, help) in report.counts.each() {
        let sample = format!("galley_load_{name}_total {count}\n");
        family(&format!("{name}_total"), "counter", help, &sample);
    }
    let errors: u64 = report.errors.iter().map(|error| error.count).sum();
    family("errors_total", "counter", "Errors.", &format!("galley_load_errors_total {errors}\n"));
    let open = report.moments.last().map_or(0, |moment| moment.open);
    let open = format!("galley_load_open_sockets {open}\n");
    family("open_sockets", "gauge", "Sockets that are open now.", &open);
    for latency in Latency::ALL {
        let Some(figures) = report.latencies.get(latency.word()) else { continue };
        let name = format!("{}_seconds", latency.word());
        let seconds = |figure: &str| figures[figure].as_f64().unwrap_or(0.0) / 1e3;
        let mut samples = String::new();
        for (quantile, share) in QUANTILES {
            let value = seconds(&format!("{quantile}_ms"));
            writeln!(samples, "galley_load_{name}{{quantile=\"{share}\"}} {value}")
                .expect("memory takes it");
        }
        let count = figures["count"].as_f64().unwrap_or(0.0);
        let sum = seconds("mean_ms") * count;
        writeln!(samples, "galley_load_{name}_sum {sum}\ngalley_load_{name}_count {count}")
            .expect("memory takes it");
        family(&name, "summary", latency.explanation(), &samples);
    }
    text
}
