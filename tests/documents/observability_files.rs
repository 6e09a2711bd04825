//! Alerts, dashboard and operating guide name metrics that exist, and lead to each other.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::named_tests::is_test;
use crate::{quoted, read, rows, section};

const RULES: &str = "deploy/observability/rules.yml";
const CASES: &str = "deploy/observability/rules.test.yml";
const DASHBOARD: &str = "deploy/observability/grafana/galley.json";
const GUIDE: &str = "docs/operating.md";

/// The metrics of every process, as the crate `metrics-process` names them.
const OF_PROCESSES: [&str; 8] = [
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_threads",
    "process_virtual_memory_bytes",
    "process_virtual_memory_max_bytes",
];

/// The names that a query may use: the documented metrics, and what the rules record.
fn known() -> BTreeSet<String> {
    let mut known = BTreeSet::from(OF_PROCESSES.map(str::to_owned));
    for row in rows(&read("docs/metrics.md")) {
        let name = quoted(row[0]).next().expect("a name in backticks");
        if row[1].starts_with("histogram") {
            known.extend(["_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}")));
        }
        known.insert(name.to_owned());
    }
    known.extend(after(&read(RULES), "- record: ").into_iter().map(str::to_owned));
    known
}

/// The words of a text that are names of metrics by their form.
fn metrics(text: &str) -> BTreeSet<&str> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "_:".contains(letter);
    let words = text.split(|letter| !is_part(letter)).map(|word| word.trim_end_matches(':'));
    words
        .filter(|word| ["galley_", "galley:", "process_"].iter().any(|of| word.starts_with(of)))
        .collect()
}

/// The rest of each line that begins so.
fn after<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.trim_start().strip_prefix(start)).collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&read(DASHBOARD)).expect("JSON")
}

/// The panels that show something.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let panels = dashboard["panels"].as_array().expect("panels");
    panels.iter().filter(|panel| panel["type"] != "row").collect()
}

#[test]
fn every_metric_that_is_named_exists() {
    let known = known();
    assert!(known.len() > 60, "{known:?}");
    let dashboard = dashboard();
    let targets = panels(&dashboard).into_iter().filter_map(|panel| panel["targets"].as_array());
    let queries = targets.flatten().filter_map(|target| target["expr"].as_str());
    let queries = queries.collect::<Vec<_>>().join("\n");
    for (file, text) in [(DASHBOARD, queries), (RULES, read(RULES)), (GUIDE, read(GUIDE))] {
        let named = metrics(&text);
        assert!(named.len() > 30, "{file}: {named:?}");
        let unknown: Vec<_> = named.iter().filter(|name| !known.contains(**name)).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
}

#[test]
fn every_metric_is_explained_to_operators() {
    let guide = read(GUIDE);
    let explained = metrics(&guide);
    let document = read("docs/metrics.md");
    let names = rows(&document).into_iter().filter_map(|row| quoted(row[0]).next());
    let missing: Vec<_> = names.filter(|name| !explained.contains(name)).collect();
    assert!(missing.is_empty(), "{GUIDE} says nothing of {missing:?}");
}

#[test]
fn every_alert_has_its_section_of_the_runbook_and_its_case() {
    let (rules, cases, guide) = (read(RULES), read(CASES), read(GUIDE));
    let alerts = after(&rules, "- alert: ");
    assert!(alerts.len() > 25, "{alerts:?}");
    let (_, runbook) = guide.split_once("\n## Runbook\n").expect("the runbook");
    assert_eq!(after(runbook, "### "), alerts, "the sections (left) and the alerts (right)");
    for (rule, alert) in rules.split("- alert: ").skip(1).zip(&alerts) {
        let link = format!("runbook_url: {GUIDE}#{}\n", alert.to_lowercase());
        assert!(rule.contains(&link), "{alert}: {link}");
        let is_urgent =
            ["page", "ticket"].iter().any(|kind| rule.contains(&format!(": {kind} }}")));
        assert!(is_urgent, "{alert} has a severity");
        for annotation in ["summary: ", "description: "] {
            assert_eq!(after(rule, annotation).len(), 1, "{alert}: {annotation}");
        }
        let section = runbook.split(&format!("### {alert}\n")).nth(1).unwrap_or_default();
        let section = section.split("\n### ").next().unwrap_or_default();
        assert!(section.contains("- Look first: ") && section.contains("- Do: "), "{alert}");
        let silent = format!("alertname: {alert}, exp_alerts: [] }}\n");
        let fires = format!("alertname: {alert}\n        exp_alerts:\n          - exp_labels:");
        assert!(cases.contains(&silent) && cases.contains(&fires), "{alert} has no case");
    }
}

#[test]
fn every_panel_has_a_title_a_unit_and_a_query() {
    let dashboard = dashboard();
    let rows = dashboard["panels"].as_array().expect("panels").iter();
    let rows: Vec<_> = rows.filter(|panel| panel["type"] == "row").collect();
    let titles: Vec<_> = rows.iter().filter_map(|row| row["title"].as_str()).collect();
    assert_eq!(
        titles,
        [
            "Orders",
            "Workers and queue",
            "Database",
            "Sockets and push",
            "HTTP and limits",
            "Processes"
        ]
    );
    let (mut titles, mut places, mut ids) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap_or_default();
        assert!(!title.is_empty() && titles.insert(title), "a title of its own: {panel}");
        assert!(ids.insert(panel["id"].as_i64()), "{title}: an id of its own");
        assert!(places.insert(panel["gridPos"].to_string()), "{title} lies on another panel");
        let unit = panel["fieldConfig"]["defaults"]["unit"].as_str();
        assert!(unit.is_some_and(|unit| !unit.is_empty()), "{title} has no unit");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        assert!(panel["description"].as_str().is_some_and(|text| text.len() > 5), "{title}");
        let targets = panel["targets"].as_array().expect("targets");
        assert!(!targets.is_empty(), "{title} asks nothing");
        for target in targets {
            let query = target["expr"].as_str().unwrap_or_default();
            assert!(!query.is_empty() && target["legendFormat"] != "", "{title}: {target}");
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
        }
    }
    assert!(titles.len() > 30, "{titles:?}");
}

#[test]
fn the_guide_leads_to_tests_and_sections_that_exist() {
    let guide = read(GUIDE);
    let tests: Vec<_> = quoted(&guide).filter(|word| word.contains("::")).collect();
    assert!(tests.len() > 10, "{tests:?}");
    for test in tests {
        is_test(test).unwrap_or_else(|why| panic!("{GUIDE}: {test}: {why}"));
    }
    let anchor =
        |heading: &str| heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    let anchors: BTreeSet<_> =
        guide.lines().filter(|line| line.starts_with("##")).map(anchor).collect();
    for link in guide.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(anchors.contains(link), "{GUIDE}: #{link} leads nowhere");
    }
    assert!(section(&guide, "## Common failures").lines().count() > 20, "symptoms");
}
