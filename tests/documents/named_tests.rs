//! The tests that the documents name as proof exist, and so do the files that they link to.

use std::fs;
use std::path::Path;

use crate::{quoted, read, root, rows};

/// The documents whose tables name tests.
const DOCUMENTS: [&str; 3] = ["docs/security.md", "docs/guarantees.md", "docs/promises.md"];

/// Returns true if a quoted word has the form of a test or of a module of `tests/end_to_end/`;
/// other quoted words are ignored.
fn names_test(word: &str) -> bool {
    let is_name = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let in_end_to_end = word.split("::").all(is_name)
        && root().join(module(word.split("::").next().unwrap_or_default())).exists();
    in_end_to_end || is_test(word).is_ok()
}

/// Checks that a test of this name exists: `module::test` in `tests/end_to_end/`, or
/// `path/of/file.rs::test`.
pub fn is_test(name: &str) -> Result<(), String> {
    let (place, test) =
        name.split_once("::").ok_or("is written `module::test` or `path/of/file.rs::test`")?;
    let file = if place.contains('.') { place.to_owned() } else { module(place) };
    let code =
        fs::read_to_string(root().join(&file)).map_err(|error| format!("{file}: {error}"))?;
    let known = if Path::new(&file).extension().is_some_and(|extension| extension == "rs") {
        runs(&code, test)
    } else {
        ['"', '`'].iter().any(|quote| code.contains(&format!("test({quote}{test}{quote}")))
    };
    if known { Ok(()) } else { Err(format!("{file} has no such test")) }
}

/// Returns true if a function of this name is a test: it has the attribute, or a macro that
/// generates tests names it.
fn runs(code: &str, name: &str) -> bool {
    let Some((before, after)) = code.split_once(&format!("fn {name}(")) else { return false };
    let above = before.rsplit_once('\n').map_or("", |(above, _)| above);
    let mut attributes =
        above.lines().rev().take_while(|line| line.trim_start().starts_with(['#', '/']));
    let mut uses = before.split(name).skip(1).chain(after.split(name).skip(1));
    attributes.any(|line| line.contains("test]") || line.contains("test("))
        || uses.any(|rest| rest.starts_with([',', ']', ')', '\n']))
}

fn module(name: &str) -> String {
    format!("tests/end_to_end/{name}.rs")
}

#[test]
fn every_test_that_a_table_names_exists() {
    for document in DOCUMENTS {
        let tables = read(document);
        let mut found = 0;
        for word in rows(&tables).iter().flatten().flat_map(|cell| quoted(cell)) {
            assert!(
                !word.contains('…') || word.contains('('),
                "{document}: {word} is to be written out"
            );
            if word.contains("::") {
                is_test(word).unwrap_or_else(|why| panic!("{document}: {word}: {why}"));
            }
            found += usize::from(names_test(word));
        }
        assert!(found > 10, "{document} names tests: {found}");
    }
}

#[test]
fn every_point_of_the_checklists_has_a_test_or_says_why_not() {
    let document = read("docs/security.md");
    let (_, checklists) = document.split_once("## Checklists").expect("the section");
    let (checklists, _) = checklists.split_once("## Limits").expect("the section");
    let rows = rows(checklists);
    assert!(rows.len() > 30, "{}", rows.len());
    for row in rows {
        let [point, how, proof] = row.as_slice() else { panic!("three cells: {row:?}") };
        let proven = quoted(proof).any(names_test) || proof.contains("](");
        let explained = proof.is_empty() && how.len() > 40;
        assert!(
            proven || explained,
            "{point}: {proof:?} is no test, and nothing says why there is none"
        );
    }
}

#[test]
fn every_link_between_documents_leads_to_a_file() {
    let others = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/dependencies.md",
    ];
    let more = [
        "docs/clients.md",
        "docs/performance.md",
        "docs/decisions.md",
        "docs/command-line.md",
        "docs/operating.md",
        "docs/deployment.md",
        "benchmarks/README.md",
        "clients/load/README.md",
        "clients/typescript/README.md",
        "clients/python/README.md",
        "clients/rust/README.md",
        "tests/clients/README.md",
    ];
    for document in others.into_iter().chain(more).chain(DOCUMENTS) {
        let text = read(document);
        let folder = Path::new(document).parent().expect("a file is in a folder");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let path = root().join(folder).join(file);
            assert!(path.exists(), "{document}: {link} leads nowhere");
        }
    }
}
