//! The programs that check the files of `deploy/`, which `./test` installs.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::{quoted, read, root, rows, section};

/// Reads every document of a YAML file, and writes one JSON list.
const TO_JSON: &str =
    "import json, sys, yaml; print(json.dumps([*yaml.load_all(sys.stdin, yaml.BaseLoader)]))";

/// A program of the folder into which `./test` installs them.
pub fn tool(path: &str) -> Command {
    let path = root().join("target/tools/deployment").join(path);
    assert!(path.exists(), "there is no {}: run ./test first", path.display());
    Command::new(path)
}

/// The output of a command that succeeds.
pub fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let [said, complained] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{command:?}: {said}{complained}");
    said
}

/// The documents of a YAML file; every scalar is a string.
pub fn yaml(path: &PathBuf) -> Vec<Value> {
    let file =
        std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let json = output(tool("bin/python").args(["-c", TO_JSON]).stdin(file));
    serde_json::from_str(&json).expect("a list of documents")
}

/// Checks that a name is a setting of the README, or the file of one that may be secret.
pub fn assert_setting(variable: &str, place: &str) {
    let readme = read("README.md");
    let settings = rows(section(&readme, "## Settings"));
    let known = settings.iter().any(|row| quoted(row[0]).any(|name| name == variable));
    let by_file = ["DATABASE_URL_FILE", "REDIS_URL_FILE"].contains(&variable);
    assert!(known || by_file, "{place}: {variable} is no setting of the README");
}
