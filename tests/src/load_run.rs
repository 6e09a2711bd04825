//! Runs of `galley-load`, and their reports.

use serde_json::Value;

use crate::command_output::{CommandOutput, run};

/// The report of a run, in the documented form.
#[derive(Debug)]
pub struct LoadRun {
    /// The report.
    pub report: Value,
    /// The output and the exit code.
    pub said: CommandOutput,
}

impl LoadRun {
    /// Runs it against the gateway at this URL with `--json`.
    pub async fn of(url: &str, words: &str) -> Self {
        let arguments: Vec<&str> = words.split_whitespace().chain(["--json"]).collect();
        let said = run("galley-load", &arguments, &[("GALLEY_URL", url)]).await;
        let report = serde_json::from_str(&said.stdout)
            .unwrap_or_else(|error| panic!("{words}: {error}: {said:?}"));
        check_report(&report);
        Self { report, said }
    }

    /// Returns a count of the report.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        let count = self.report["counts"][name].as_u64();
        count.unwrap_or_else(|| panic!("no count {name} in {}", self.report))
    }

    /// Expects success, and that nothing was lost, refused or left without an answer.
    pub fn is_well(&self) {
        assert_eq!(self.said.code, 0, "{:?}", self.said);
        for name in ["lost", "refused", "unanswered", "unsent", "cut"] {
            assert_eq!(self.count(name), 0, "{name}: {}", self.report);
        }
    }
}

/// Expects the documented form of a report.
fn check_report(report: &Value) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../clients/load/report.schema.json");
    let schema = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let errors: Vec<String> = validator
        .iter_errors(report)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}
