//! `docs/dependencies.md` lists exactly the direct dependencies of the manifests: of Rust, JavaScript
//! and Python.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::{files_named, quoted, read, rows};

/// The prefix of our own packages, which need no reason.
const OWN: &str = "galley";

#[test]
fn every_direct_dependency_has_its_line_and_no_other_has() {
    let document = read("docs/dependencies.md");
    let mut listed = BTreeMap::<&str, usize>::new();
    for row in rows(&document) {
        let [names, .., reason] = row.as_slice() else {
            panic!("a row has at least two cells: {row:?}")
        };
        assert!(reason.len() > 10, "{names} has no reason");
        quoted(names).for_each(|name| *listed.entry(name).or_default() += 1);
    }
    assert!(listed.values().all(|times| *times == 1), "one line each: {listed:?}");
    let used: BTreeSet<String> = crates()
        .chain(packages())
        .chain(distributions())
        .filter(|name| !name.starts_with(OWN))
        .collect();
    assert!(used.len() > 60, "the manifests were read: {used:?}");
    let missing: Vec<&String> =
        used.iter().filter(|name| !listed.contains_key(name.as_str())).collect();
    let gone: Vec<&&str> = listed.keys().filter(|name| !used.contains(**name)).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "docs/dependencies.md misses {missing:?} and lists {gone:?}, which nobody uses"
    );
}

/// The keys of every dependency table of every `Cargo.toml`. Each dependency takes one line there.
fn crates() -> impl Iterator<Item = String> {
    files_named("Cargo.toml").into_iter().flat_map(|path| {
        let manifest = fs::read_to_string(&path).expect("it was found");
        let mut within = false;
        let mut names = Vec::new();
        for line in manifest.lines() {
            if let Some(table) = line.strip_prefix('[') {
                within = table.ends_with("dependencies]");
                assert!(
                    !table.contains("dependencies."),
                    "{}: a table of its own for one dependency: {line}",
                    path.display()
                );
            } else if within && let Some((name, _)) = line.split_once(['.', '=']) {
                names.push(name.trim().to_owned());
            }
        }
        names
    })
}

/// The keys of every kind of dependency in every `package.json`.
fn packages() -> impl Iterator<Item = String> {
    files_named("package.json").into_iter().flat_map(|path| {
        let text = fs::read_to_string(&path).expect("it was found");
        let manifest: Value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let tables = manifest
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| key.to_lowercase().ends_with("dependencies"));
        tables
            .flat_map(|(_, table)| {
                table.as_object().into_iter().flat_map(|table| table.keys().cloned())
            })
            .collect::<Vec<_>>()
    })
}

/// The names in the lists of every `pyproject.toml`, each of which takes one line.
fn distributions() -> impl Iterator<Item = String> {
    files_named("pyproject.toml").into_iter().flat_map(|path| {
        let manifest = fs::read_to_string(&path).expect("it was found");
        let lists = manifest.lines().filter_map(|line| {
            line.strip_prefix("dependencies = [").or_else(|| line.strip_prefix("requires = ["))
        });
        let names = lists.flat_map(|list| list.split('"').skip(1).step_by(2)).filter_map(|one| {
            one.split(|letter: char| !letter.is_alphanumeric() && letter != '-').next()
        });
        names.map(ToOwned::to_owned).collect::<Vec<_>>()
    })
}
