//! The report as one HTML page that loads nothing: no script, font or picture.

use std::fmt::Write as _;

use galley_protocol::harmless::harmless;
use serde_json::Value;

use super::Report;
use super::chart::{ChartLine, draw};
use super::table::model;
use crate::measures::Latency;
use crate::measures::{QUANTILES, float};
use crate::timeline::Moment;

const STYLE: &str = include_str!("report.css");
/// Minimum labels below a chart over time, if it has as many moments. There are at most 15.
const MARKS: usize = 8;

/// Renders the page.
pub fn render(report: &Report) -> String {
    let mut page = String::new();
    let scenario = report.settings["scenario"].as_str().unwrap_or_default();
    let started = report.started.map(|started| started.to_string()).unwrap_or_default();
    let mut add = |part: &str| page.push_str(part);
    add(&format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Galley load test: {scenario}</title>\n"
    ));
    add(
        "<meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n",
    );
    add(&format!(
        "<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>Load test: {scenario}</h1>\n<p>{started}; {}</p>\n",
        model(report)
    ));
    if report.interrupted {
        add("<p class=\"failed\">Stopped early: nothing was compared with the database.</p>\n");
    }
    add("<h2>Requirements</h2>\n");
    add(&rows(
        ["requirement", "measured", "verdict"],
        report.requirements.iter().map(|judged| {
            let value = judged.value.map_or("never".to_owned(), |value| value.to_string());
            [
                judged.requirement.clone(),
                value,
                if judged.holds { "ok" } else { "failed" }.to_owned(),
            ]
        }),
    ));
    add("<h2>Latencies, in milliseconds</h2>\n");
    add(&latencies(report));
    add(&percentiles(report));
    add("<h2>Over time</h2>\n");
    let orders: [Figure<'_>; 3] = [
        ("sent", |moment, seconds| Some(float(moment.placed) / seconds)),
        ("accepted", |moment, seconds| Some(float(moment.acked) / seconds)),
        ("ended", |moment, seconds| Some(float(moment.ended) / seconds)),
    ];
    add(&over_time(report, "Orders", "a second", &orders));
    add(&over_time(
        report,
        "Frames",
        "a second",
        &[("frames", |moment, seconds| Some(float(moment.frames) / seconds))],
    ));
    add(&over_time(
        report,
        "Open sockets",
        "at the end of each second",
        &[("sockets", |moment, _| Some(float(moment.open)))],
    ));
    let latencies: [Figure<'_>; 3] = [
        ("ack p50", |moment, _| moment.ack_p50_ms),
        ("ack p99", |moment, _| moment.ack_p99_ms),
        ("push p99", |moment, _| moment.push_p99_ms),
    ];
    add(&over_time(report, "Latency", "ms", &latencies));
    add("<h2>Counts</h2>\n");
    add(&rows(
        ["what", "count", ""],
        report
            .counts
            .each()
            .map(|(name, count, what)| [name.to_owned(), count.to_string(), what.to_owned()]),
    ));
    let rates =
        report.rates.iter().map(|(name, rate)| [name.clone(), rate.to_string(), String::new()]);
    add(&rows(["what", "a second", ""], rates));
    add("<h2>Errors</h2>\n");
    if report.errors.is_empty() {
        add("<p>None.</p>\n");
    } else {
        add(&rows(
            ["what", "count", ""],
            report
                .errors
                .iter()
                .map(|error| [error.what.clone(), error.count.to_string(), String::new()]),
        ));
    }
    add("<h2>Settings</h2>\n");
    let settings = report.settings.as_object().into_iter().flatten();
    add(&rows(
        ["setting", "value", ""],
        settings.map(|(name, value)| [name.clone(), plain(value), String::new()]),
    ));
    add("</main>\n</body>\n</html>\n");
    page
}

fn latencies(report: &Report) -> String {
    let names = ["mean"].into_iter().chain(QUANTILES.iter().map(|(name, _)| *name)).chain(["max"]);
    let mut table = String::from("<table><tr><th>latency</th><th>count</th>");
    names.clone().for_each(|name| write!(table, "<th>{name}</th>").expect("memory takes it"));
    table.push_str("<th></th></tr>\n");
    for latency in Latency::ALL {
        let Some(figures) = report.latencies.get(latency.word()) else { continue };
        write!(table, "<tr><th>{}</th><td>{}</td>", latency.word(), figures["count"])
            .expect("memory takes it");
        for name in names.clone() {
            let millis = figures[format!("{name}_ms")].as_f64().unwrap_or(0.0);
            write!(table, "<td>{millis:.2}</td>").expect("memory takes it");
        }
        writeln!(table, "<td class=\"text\">{}</td></tr>", latency.explanation())
            .expect("memory takes it");
    }
    table + "</table>\n"
}

/// A chart of percentiles. On its axis 90 %, 99 %, 99.9 % … are equally far apart.
fn percentiles(report: &Report) -> String {
    let place = |quantile: f64| -(1.0 - quantile).log10();
    let lines = ["ack", "push", "final", "reconnect"].into_iter().filter_map(|name| {
        let curve = report.latencies.get(name)?["curve"].as_array()?;
        let points =
            curve.iter().map(|point| (place(point[0].as_f64().unwrap_or(0.0)), point[1].as_f64()));
        Some(ChartLine { name, points: points.collect() })
    });
    let lines: Vec<_> = lines.collect();
    let marks = [
        (0.0, "0 %"),
        (1.0, "90 %"),
        (2.0, "99 %"),
        (3.0, "99.9 %"),
        (4.0, "99.99 %"),
        (5.0, "99.999 %"),
    ];
    draw("Percentiles", "ms", &lines, &marks.map(|(x, label)| (x, label.to_owned())))
}

/// The name of a line, and its value in a moment that lasted a number of seconds.
type Figure<'a> = (&'a str, fn(&Moment, f64) -> Option<f64>);

fn over_time(report: &Report, title: &str, unit: &str, figures: &[Figure<'_>]) -> String {
    // A moment lasts several seconds if no tick came in between.
    let before = std::iter::once(0).chain(report.moments.iter().map(|moment| moment.second));
    let moments: Vec<_> = report.moments.iter().zip(before).collect();
    let value = |figure: fn(&Moment, f64) -> Option<f64>, moment: &Moment, before: u64| {
        (float(moment.second), figure(moment, float(moment.second.saturating_sub(before).max(1))))
    };
    let lines = figures.iter().map(|(name, figure)| ChartLine {
        name,
        points: moments.iter().map(|(moment, before)| value(*figure, moment, *before)).collect(),
    });
    let lines: Vec<_> = lines.collect();
    let step = (report.moments.len() / MARKS).max(1);
    let marks: Vec<_> = report
        .moments
        .iter()
        .step_by(step)
        .map(|moment| (float(moment.second), format!("{} s", moment.second)))
        .collect();
    draw(title, unit, &lines, &marks)
}

fn rows(head: [&str; 3], rows: impl Iterator<Item = [String; 3]>) -> String {
    let mut table =
        format!("<table><tr><th>{}</th><th>{}</th><th>{}</th></tr>\n", head[0], head[1], head[2]);
    for [first, second, third] in rows.map(|row| row.map(|cell| escaped(&cell))) {
        writeln!(
            table,
            "<tr><th>{first}</th><td>{second}</td><td class=\"text {}\">{third}</td></tr>",
            if third == "failed" { "failed" } else { "" }
        )
        .expect("memory takes it");
    }
    table + "</table>\n"
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn escaped(text: &str) -> String {
    harmless(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
