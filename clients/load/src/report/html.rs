//! The report as one HTML page that loads nothing: no script, font or picture. The page of a
//! running test has one script within, which asks for new figures.

use std::fmt::Write as _;

use galley_protocol::harmless::harmless;

use super::Report;
use super::chart::{Chart, ChartLine};
use super::settings_table::settings_in_words;
use super::table::model;
use crate::measures::{Latency, QUANTILES, float};
use crate::timeline::Moment;

const STYLE: &str = include_str!("report.css");
/// Maximum labels below a chart over time.
const MARKS: usize = 8;
/// Maximum moments of a chart over time, which bounds the page of a long test.
const MAX_COLUMNS: usize = 240;

/// Asks for the figures of a running test again and again. It runs in the page of such a test only.
const REFRESH: &str = "const refresh = async () => { try { const answer = await fetch('figures'); \
    if (!answer.ok) throw answer; document.querySelector('main').innerHTML = await answer.text(); \
    setTimeout(refresh, 1000) } catch { document.querySelector('#live').textContent = \
    'The test has ended, or cannot be reached: these figures are the last ones.' } }; \
    setTimeout(refresh, 1000)";

/// Renders the page of a test that has ended.
pub fn render(report: &Report) -> String {
    page(report, "")
}

/// Renders the page of a running test, which keeps itself up to date.
pub fn live(report: &Report) -> String {
    page(
        report,
        &format!("<p id=\"live\" role=\"status\">The test runs.</p>\n<script>{REFRESH}</script>\n"),
    )
}

fn page(report: &Report, live: &str) -> String {
    let scenario = report.settings["scenario"].as_str().unwrap_or_default();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <title>Galley load test: {scenario}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<style>\n{STYLE}</style>\n\
         </head>\n<body>\n{live}<main>\n{}</main>\n</body>\n</html>\n",
        figures(report)
    )
}

/// Renders the figures, which are all of the page but its head.
pub fn figures(report: &Report) -> String {
    let mut page = String::new();
    let mut add = |part: &str| page.push_str(part);
    let scenario = report.settings["scenario"].as_str().unwrap_or_default();
    let started = report.started.map(|started| started.to_string()).unwrap_or_default();
    add(&format!("<h1>Load test: {scenario}</h1>\n<p>{started}; {}</p>\n", model(report)));
    if let Some(why) = report.stopped_early() {
        add(&format!("<p class=\"failed\">{}</p>\n", escaped(&why)));
    }
    add("<h2>Requirements</h2>\n");
    add(&requirements(report));
    add("<h2>Latencies, in milliseconds</h2>\n");
    add(&latencies(report));
    add(&percentiles(report));
    add("<h2>Over time</h2>\n");
    add(&over_time(report));
    add("<h2>Counts</h2>\n");
    let counts = report.counts.each();
    let counts =
        counts.map(|(name, count, what)| [name.to_owned(), count.to_string(), what.to_owned()]);
    add(&rows(["what", "count", ""], counts));
    let rates =
        report.rates.iter().map(|(name, rate)| [name.clone(), rate.to_string(), String::new()]);
    add(&rows(["what", "a second", ""], rates));
    add("<h2>Errors</h2>\n");
    if report.errors.is_empty() {
        add("<p>None.</p>\n");
    } else {
        let errors = report.errors.iter();
        let errors =
            errors.map(|error| [String::new(), error.count.to_string(), error.what.clone()]);
        add(&rows(["", "count", "error"], errors));
    }
    add("<h2>Settings</h2>\n");
    let settings = settings_in_words(&report.settings).into_iter();
    let settings = settings.map(|(name, value)| [name.to_owned(), String::new(), value]);
    add(&rows(["setting", "", "value"], settings));
    add("<h2>Programs and machines</h2>\n");
    let load = ["galley-load".to_owned(), report.version.to_owned(), String::new()];
    let service = report.service.iter();
    let service = service
        .map(|one| [one.program.clone(), one.version.clone(), format!("{} of them", one.count)]);
    add(&rows(["program", "version", ""], std::iter::once(load).chain(service)));
    let hosts = report.client.hosts.iter();
    let hosts = hosts.map(|host| ["load from".to_owned(), String::new(), host.to_string()]);
    add(&rows(["", "", "machine"], hosts));
    page
}

fn requirements(report: &Report) -> String {
    let judged = report.requirements.iter().map(|judged| {
        let value = judged.value.map_or("never".to_owned(), |value| value.to_string());
        let verdict = if judged.holds { "\u{2713} ok" } else { "\u{2717} failed" };
        [judged.requirement.clone(), value, verdict.to_owned()]
    });
    rows(["requirement", "measured", "verdict"], judged)
}

fn latencies(report: &Report) -> String {
    let names = ["mean"].into_iter().chain(QUANTILES.iter().map(|(name, _)| *name)).chain(["max"]);
    let mut table =
        String::from("<table class=\"many\"><tr class=\"head\"><th>latency</th><th>count</th>");
    names.clone().for_each(|name| write!(table, "<th>{name}</th>").expect("memory takes it"));
    table.push_str("<th></th></tr>\n");
    for latency in Latency::ALL {
        let Some(figures) = report.latencies.get(latency.word()) else { continue };
        let (word, count) = (latency.word(), &figures["count"]);
        write!(table, "<tr><th>{word}</th><td data-name=\"count\">{count}</td>")
            .expect("memory takes it");
        for name in names.clone() {
            let millis = figures[format!("{name}_ms")].as_f64().unwrap_or(0.0);
            write!(table, "<td data-name=\"{name}\">{millis:.2}</td>").expect("memory takes it");
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
    let longest = lines.iter().map(|line| &line.points).max_by_key(|points| points.len());
    let columns = longest.into_iter().flatten().map(|(x, _)| {
        let percent = 100.0 - 100.0 * 10_f64.powf(-x);
        (*x, format!("{} %", (percent * 1e5).round() / 1e5))
    });
    let columns = columns.collect();
    let marks = [
        (0.0, "0 %"),
        (1.0, "90 %"),
        (2.0, "99 %"),
        (3.0, "99.9 %"),
        (4.0, "99.99 %"),
        (5.0, "99.999 %"),
    ];
    let marks = marks.map(|(x, label)| (x, label.to_owned())).to_vec();
    Chart { title: "Percentiles", unit: "ms", lines, columns, marks, cuts: Vec::new() }.draw()
}

/// The name of a line, and its value in a moment that lasted a number of seconds.
type Figure<'a> = (&'a str, fn(&Moment, f64) -> Option<f64>);

fn over_time(report: &Report) -> String {
    let moments = coarse(&report.moments);
    let orders: [Figure<'_>; 3] = [
        ("sent", |moment, seconds| Some(float(moment.placed) / seconds)),
        ("accepted", |moment, seconds| Some(float(moment.acked) / seconds)),
        ("ended", |moment, seconds| Some(float(moment.ended) / seconds)),
    ];
    let frames: [Figure<'_>; 1] =
        [("frames", |moment, seconds| Some(float(moment.frames) / seconds))];
    let sockets: [Figure<'_>; 1] = [("sockets", |moment, _| Some(float(moment.open)))];
    let latencies: [Figure<'_>; 3] = [
        ("ack p50", |moment, _| moment.ack_p50_ms),
        ("ack p99", |moment, _| moment.ack_p99_ms),
        ("push p99", |moment, _| moment.push_p99_ms),
    ];
    [
        chart(&moments, "Orders", "a second", &orders),
        chart(&moments, "Frames", "a second", &frames),
        chart(&moments, "Open sockets", "at the end of each second", &sockets),
        chart(&moments, "Latency", "ms", &latencies),
    ]
    .concat()
}

/// Merges neighbours until there are at most [`MAX_COLUMNS`].
fn coarse(moments: &[Moment]) -> Vec<Moment> {
    let together = moments.len().div_ceil(MAX_COLUMNS).max(1);
    let merged = moments.chunks(together).map(|some| {
        let (first, others) = some.split_first().expect("no chunk is empty");
        others.iter().fold(first.clone(), Moment::merged_with)
    });
    merged.collect()
}

fn chart(moments: &[Moment], title: &str, unit: &str, figures: &[Figure<'_>]) -> String {
    // A moment lasts several seconds if no tick came in between.
    let before = std::iter::once(0).chain(moments.iter().map(|moment| moment.second));
    let lasted: Vec<_> = moments.iter().zip(before).collect();
    let value = |figure: fn(&Moment, f64) -> Option<f64>, moment: &Moment, before: u64| {
        (float(moment.second), figure(moment, float(moment.second.saturating_sub(before).max(1))))
    };
    let lines = figures.iter().map(|(name, figure)| ChartLine {
        name,
        points: lasted.iter().map(|(moment, before)| value(*figure, moment, *before)).collect(),
    });
    let named = |moment: &Moment| (float(moment.second), format!("{} s", moment.second));
    let cuts = moments.iter().filter(|moment| moment.dropped > 0);
    Chart {
        title,
        unit,
        lines: lines.collect(),
        columns: moments.iter().map(named).collect(),
        marks: moments.iter().step_by(moments.len().div_ceil(MARKS).max(1)).map(named).collect(),
        cuts: cuts.map(|moment| float(moment.second)).collect(),
    }
    .draw()
}

/// A table. The third cell of a row is text, below the others on a small screen.
fn rows(head: [&str; 3], rows: impl Iterator<Item = [String; 3]>) -> String {
    let mut table = format!(
        "<table><tr class=\"head\"><th>{}</th><th>{}</th><th class=\"text\">{}</th></tr>\n",
        head[0], head[1], head[2]
    );
    for [first, second, third] in rows.map(|row| row.map(|cell| escaped(&cell))) {
        let failed = if third.ends_with("failed") { " failed" } else { "" };
        writeln!(
            table,
            "<tr><th>{first}</th><td>{second}</td><td class=\"text{failed}\">{third}</td></tr>"
        )
        .expect("memory takes it");
    }
    table + "</table>\n"
}

fn escaped(text: &str) -> String {
    harmless(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
