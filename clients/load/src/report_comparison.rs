//! `galley-load compare`: two reports side by side.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Parser;
use comfy_table::{Cell, CellAlignment, Table, presets};
use galley_protocol::harmless::harmless;
use serde_json::{Value, json};

use crate::load_failure::LoadFailure;
use crate::measures::{Latency, RATES};
use crate::report::settings_in_words;

/// Compares two reports that `galley-load --json` printed.
///
/// A figure is worse if a latency or the number of failures is higher, or a rate lower. Exit code 3
/// if one is worse by more than --max-regression.
#[derive(Debug, Parser)]
#[command(name = "galley-load compare", version)]
pub struct CompareArguments {
    /// The report before
    before: PathBuf,
    /// The report after
    after: PathBuf,
    /// How much worse a figure may become, in per cent; without it nothing is judged
    #[arg(long, value_name = "PERCENT", value_parser = parse_regression)]
    max_regression: Option<f64>,
    /// Figures to compare, such as `ack_p99,orders_per_s` [default: mean, p50, p95 and p99 of each
    /// latency, rates, and failures]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
}

/// Counts that should be 0.
const FAILURES: [&str; 7] =
    ["lost", "unanswered", "refused", "unsent", "cut", "given_up", "out_of_order"];
const QUANTILES: [&str; 4] = ["mean", "p50", "p95", "p99"];

/// A figure of both reports.
struct Compared {
    name: String,
    before: f64,
    after: f64,
    /// The change for the worse, as a share; negative if it became better.
    worse: f64,
}

/// Prints the comparison.
pub fn run(arguments: &CompareArguments) -> Result<(), LoadFailure> {
    let (before, after) = (read(&arguments.before)?, read(&arguments.after)?);
    let names = if arguments.only.is_empty() { names() } else { arguments.only.clone() };
    let mut compared = Vec::new();
    for name in names {
        match (figure(&before, &name), figure(&after, &name)) {
            (Some(before), Some(after)) => compared.push(compare(name, before, after)),
            (_, _) if arguments.only.is_empty() => {}
            (_, _) => {
                return Err(LoadFailure::Usage(format!("{name} is not in both reports")));
            }
        }
    }
    let limit = arguments.max_regression.map(|percent| percent / 100.0);
    let is_bad = |figure: &Compared| limit.is_some_and(|limit| figure.worse > limit + 1e-9);
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["FIGURE", "BEFORE", "AFTER", "RATIO", ""]);
    for figure in &compared {
        let ratio = figure.after / figure.before;
        let ratio = if ratio.is_finite() { format!("{ratio:.2}") } else { "-".to_owned() };
        let number = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        table.add_row([
            Cell::new(harmless(&figure.name)),
            number(format!("{:.2}", figure.before)),
            number(format!("{:.2}", figure.after)),
            number(ratio),
            Cell::new(if is_bad(figure) { "WORSE" } else { "" }),
        ]);
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned() + "\n");
    let text = lines.collect::<String>() + &differences(&before, &after);
    // A closed standard output is no failure: the exit code carries the verdict as well.
    let _ = std::io::stdout().write_all(text.as_bytes());
    let bad: Vec<_> = compared.iter().filter(|it| is_bad(it)).map(|it| it.name.as_str()).collect();
    if bad.is_empty() {
        Ok(())
    } else {
        Err(LoadFailure::Unmet(format!("worse: {}", bad.join(", "))))
    }
}

fn read(path: &Path) -> Result<Value, LoadFailure> {
    let cannot = |why: String| LoadFailure::Usage(format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| cannot(error.to_string()))?;
    let report: Value = serde_json::from_str(&text).map_err(|error| cannot(error.to_string()))?;
    match report["schema"].as_u64() {
        Some(1) => Ok(report),
        Some(other) => Err(cannot(format!("a report of schema {other}, which is unknown here"))),
        None => Err(cannot("no report of `galley-load --json`".to_owned())),
    }
}

fn names() -> Vec<String> {
    let of_latency =
        |latency: &Latency| QUANTILES.map(|figure| format!("{}_{figure}", latency.word()));
    let latencies = Latency::ALL.iter().flat_map(of_latency);
    latencies.chain(RATES.into_iter().chain(FAILURES).map(str::to_owned)).collect()
}

/// Returns a count, a rate, or a latency in milliseconds by its name.
fn figure(report: &Value, name: &str) -> Option<f64> {
    let latency = || {
        let (latency, quantile) = name.rsplit_once('_')?;
        report["latencies"][latency].get(format!("{quantile}_ms"))?.as_f64()
    };
    let plain = report["counts"].get(name).or_else(|| report["rates"].get(name));
    plain.and_then(Value::as_f64).or_else(latency)
}

fn compare(name: String, before: f64, after: f64) -> Compared {
    let higher_is_better = RATES.contains(&name.as_str());
    let change = if higher_is_better { before - after } else { after - before };
    // From zero there is no share: any change for the worse exceeds every bound.
    let worse =
        if change > 0.0 && before <= 0.0 { f64::INFINITY } else { change / before.max(1e-9) };
    Compared { name, before, after, worse }
}

/// Returns the settings, versions and machines that differ, one a line.
fn differences(before: &Value, after: &Value) -> String {
    let described = |report: &Value| {
        let settings = settings_in_words(&report["settings"]).into_iter();
        let mut all: Vec<(String, String)> =
            settings.map(|(name, value)| (name.to_owned(), value)).collect();
        let others = json!({
            "machines": report["client"]["hosts"],
            "service": report["service"],
            "version of galley-load": report["version"],
        });
        let others = settings_in_words(&others).into_iter();
        all.extend(others.map(|(name, value)| (name.to_owned(), value)));
        all
    };
    let (before, after) = (described(before), described(after));
    let value = |all: &[(String, String)], name: &str| {
        let found = all.iter().find(|(known, _)| known == name);
        found.map_or("none".to_owned(), |(_, value)| value.clone())
    };
    let mut names: Vec<&str> = before.iter().chain(&after).map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let lines = names.into_iter().filter_map(|name| {
        let (one, other) = (value(&before, name), value(&after, name));
        (one != other)
            .then(|| format!("different {name}: {} -> {}\n", harmless(&one), harmless(&other)))
    });
    lines.collect()
}

fn parse_regression(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(percent) if percent >= 0.0 && percent.is_finite() => Ok(percent),
        Ok(_) | Err(_) => Err("must be a number of per cent, as in 10%".to_owned()),
    }
}
