//! Every promise in the README has a test in `docs/promises.md`.

use std::collections::BTreeSet;

use crate::named_tests::is_test;
use crate::{quoted, read, rows, section};

/// The first cells of the rows below a heading of `docs/promises.md`.
fn proven(document: &str, heading: &str) -> BTreeSet<String> {
    rows(section(document, heading)).iter().map(|row| row[0].to_owned()).collect()
}

#[test]
fn every_promise_of_the_readme_has_its_tests() {
    let (readme, document) = (read("README.md"), read("docs/promises.md"));
    let promised: BTreeSet<String> = rows(section(&readme, "## What it promises"))
        .iter()
        .map(|row| row[1].replace("](docs/", "]("))
        .collect();
    assert!(promised.len() > 5, "{promised:?}");
    assert_eq!(
        proven(&document, "## What the README promises"),
        promised,
        "docs/promises.md (left) and README.md (right)"
    );
}

#[test]
fn every_setting_of_the_readme_has_its_tests() {
    let (readme, document) = (read("README.md"), read("docs/promises.md"));
    let settings: BTreeSet<String> =
        rows(section(&readme, "## Settings")).iter().map(|row| row[0].to_owned()).collect();
    assert_eq!(
        proven(&document, "## Settings"),
        settings,
        "docs/promises.md (left) and README.md (right)"
    );
}

#[test]
fn every_promise_names_a_test() {
    let document = read("docs/promises.md");
    let rows = rows(&document);
    assert!(rows.len() > 60, "{}", rows.len());
    for row in rows {
        let [promise, tests] = row.as_slice() else { panic!("two cells: {row:?}") };
        assert!(quoted(tests).count() > 0, "{promise}: no test");
        for test in quoted(tests) {
            is_test(test).unwrap_or_else(|why| panic!("{promise}: {test}: {why}"));
        }
    }
}
