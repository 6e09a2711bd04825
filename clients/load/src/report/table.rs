//! The report as tables for a terminal.

use std::fmt::Write as _;

use comfy_table::{Cell, CellAlignment, Table, presets};
use galley_protocol::harmless::harmless;
use serde_json::Value;

use super::Report;
use crate::measures::Latency;
use crate::measures::QUANTILES;

/// Renders the tables.
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    let settings = &report.settings;
    let asked = |name: &str| settings[name].as_u64().unwrap_or(0);
    let mut add = |part: &str| text.push_str(part);
    add(&format!(
        "{}: {} of {} sockets of {} heroes, {} dashboards, {} processes, seed {}\n",
        settings["scenario"].as_str().unwrap_or_default(),
        report.most_open,
        asked("sockets") + asked("dashboards"),
        asked("heroes"),
        asked("dashboards"),
        asked("processes"),
        asked("seed"),
    ));
    add(&format!(
        "opened in {:.1} s, load for {:.1} s; {}\n\n",
        report.ramp_s,
        report.load_s,
        model(report)
    ));
    add(&lines(latencies(report)));
    add("\n");
    add(&lines(counts(report)));
    if let Some(lag) = &report.push_lag {
        let bound = |millis: Option<f64>| {
            millis.map_or("more than 10000 ms".to_owned(), |millis| format!("at most {millis} ms"))
        };
        add(&format!(
            "\ncommit to write, as the gateway measured it: mean {:.2} ms, p50 {}, p99 {}\n",
            lag.mean_ms,
            bound(lag.p50_ms),
            bound(lag.p99_ms)
        ));
    }
    let bytes =
        report.client.bytes_per_socket.map_or("-".to_owned(), |bytes| format!("{bytes:.0}"));
    add(&format!(
        "this program: {bytes} bytes a socket, {:.2} s of processor time\n",
        report.client.processor_s
    ));
    for program in &report.service {
        add(&format!("tested: {} of {} {}\n", program.count, program.program, program.version));
    }
    for host in &report.client.hosts {
        add(&format!("load from {}\n", harmless(&host.to_string())));
    }
    if !report.errors.is_empty() {
        add("\nERRORS\n");
        report.errors.iter().for_each(|error| {
            writeln!(text, "{:>9}  {}", error.count, harmless(&error.what))
                .expect("memory takes it");
        });
    }
    text.push('\n');
    for judged in &report.requirements {
        let verdict = if judged.holds { "ok    " } else { "FAILED" };
        let value = judged.value.map_or("never measured".to_owned(), |value| value.to_string());
        writeln!(text, "{verdict} {} ({value})", judged.requirement).expect("memory takes it");
    }
    if let Some(why) = report.stopped_early() {
        text.push_str(&why);
        text.push('\n');
    }
    text
}

/// Explains how orders were placed and what the latencies include.
pub fn model(report: &Report) -> &'static str {
    match report.model {
        "open" => "orders at their moments, latencies from there (open model)",
        "closed" => {
            "each order when one before it was answered: latencies leave out the orders that a slow answer held back (closed model)"
        }
        _ => "no orders",
    }
}

fn latencies(report: &Report) -> Table {
    let mut table = Table::new();
    table.set_header(["MS", "COUNT", "MEAN", "P50", "P90", "P95", "P99", "P99.9", "MAX"]);
    for latency in Latency::ALL {
        let Some(figures) = report.latencies.get(latency.word()) else { continue };
        let mut row = vec![
            Cell::new(latency.word()),
            number(figures["count"].as_u64().unwrap_or(0).to_string()),
        ];
        row.push(number(millis(&figures["mean_ms"])));
        row.extend(
            QUANTILES.iter().map(|(name, _)| number(millis(&figures[format!("{name}_ms")]))),
        );
        row.push(number(millis(&figures["max_ms"])));
        table.add_row(row);
    }
    table
}

fn counts(report: &Report) -> Table {
    let mut table = Table::new();
    let always = ["lost", "duplicated", "out_of_order"];
    for (name, count, explanation) in
        report.counts.each().filter(|(name, count, _)| *count > 0 || always.contains(name))
    {
        table.add_row([Cell::new(name), number(count.to_string()), Cell::new(explanation)]);
    }
    for (name, rate) in &report.rates {
        table.add_row([
            Cell::new(name),
            number(format!("{:.1}", rate.as_f64().unwrap_or(0.0))),
            Cell::new(""),
        ]);
    }
    table
}

fn millis(value: &Value) -> String {
    format!("{:.2}", value.as_f64().unwrap_or(0.0))
}

fn number(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn lines(mut table: Table) -> String {
    table.load_style(presets::NOTHING);
    table
        .lines()
        .map(|line| line.trim_end().strip_prefix(' ').unwrap_or_default().to_owned() + "\n")
        .collect()
}
