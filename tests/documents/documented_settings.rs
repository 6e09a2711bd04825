//! The settings in the README equal those in the `--help` of the programs.

use std::collections::{BTreeMap, BTreeSet};

use galley_tests::program::{command, path_of};

use crate::{quoted, read, rows, section};

/// Every program with settings, and every command whose settings differ from those of `galley`
/// alone.
const HELPS: [(&str, &[&str]); 7] = [
    ("galley", &["--help"]),
    ("galley", &["meal", "list", "--help"]),
    ("galley", &["migrate", "--help"]),
    ("galley", &["token", "--help"]),
    ("galley-gateway", &["--help"]),
    ("galley-worker", &["--help"]),
    ("galley-load", &["--help"]),
];

/// A setting as the help text describes it.
struct Setting {
    flag: String,
    variable: String,
    default: Option<String>,
}

/// Returns the settings of a help text: clap writes `--flag <VALUE>`, the description, `[env:
/// NAME=]` and `[default: …]`. A default that depends on the command is part of the description:
/// `[default: 10s; with …]`.
fn settings(help: &str) -> Vec<Setting> {
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut settings = Vec::new();
    for (at, _) in help.match_indices("[env: ") {
        let (before, after) = help.split_at(at);
        let flags = before.rmatch_indices("--").map(|(at, _)| before[at..].split_once(' '));
        let flag =
            flags.flatten().find(|(_, value)| value.starts_with('<') || value.starts_with("[<"));
        let (flag, explanation) = flag.unwrap_or_else(|| panic!("no flag before {after}"));
        let (variable, rest) =
            after["[env: ".len()..].split_once(']').expect("the bracket is closed");
        let special =
            explanation.rsplit_once("[default: ").and_then(|(_, rest)| rest.split_once(';'));
        let default = rest
            .strip_prefix(" [default: ")
            .and_then(|rest| rest.split_once(']'))
            .or(special)
            .map(|(value, _)| value);
        settings.push(Setting {
            flag: flag.to_owned(),
            variable: variable.trim_end_matches('=').to_owned(),
            default: default.map(|value| value.trim_matches('"').to_owned()),
        });
    }
    settings
}

/// Returns the help text of a program.
pub fn help(program: &str, arguments: &[&str]) -> String {
    let output = command(path_of(program)).args(arguments).output().expect("it can be run");
    String::from_utf8(output.stdout).expect("the programs speak UTF-8")
}

#[test]
fn the_settings_of_the_readme_are_those_of_the_programs() {
    let mut defaults = BTreeMap::<String, BTreeSet<String>>::new();
    for (program, arguments) in HELPS {
        let settings = settings(&help(program, arguments));
        for Setting { flag, variable, default } in settings {
            let name = variable.trim_start_matches("GALLEY_").to_lowercase().replace('_', "-");
            assert_eq!(
                flag,
                format!("--{name}"),
                "{program}: the README says that a variable is a flag of the same name"
            );
            defaults.entry(variable).or_default().extend(default);
        }
    }
    let readme = read("README.md");
    let mut listed = BTreeMap::new();
    for row in rows(section(&readme, "## Settings")) {
        let [variable, default, meaning] = row.as_slice() else { panic!("three cells: {row:?}") };
        let variable = quoted(variable)
            .next()
            .unwrap_or_else(|| panic!("a variable in backticks: {variable}"));
        assert!(meaning.len() > 10, "{variable} is explained");
        let values = quoted(default)
            .filter(|value| *value != "galley")
            .map(str::to_owned)
            .collect::<BTreeSet<_>>();
        assert!(listed.insert(variable.to_owned(), values).is_none(), "{variable} has one line");
    }
    assert_eq!(listed, defaults, "README.md (left) and --help (right)");
}
