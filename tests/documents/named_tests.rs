//! The tests that the documents name as proof, and the files that they point to.

use std::path::Path;

use crate::{quoted, read, root, rows};

/// The documents whose tables name tests.
const DOCUMENTS: [&str; 2] = ["docs/security.md", "docs/guarantees.md"];

/// Whether a quoted word is the name of a test in `tests/end_to_end/` or of a module there; anything else quoted is passed over.
fn names_test(word: &str) -> bool {
    let is_name = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    word.split("::").all(is_name) && root().join(module(word.split("::").next().unwrap_or_default())).exists()
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
            assert!(!word.contains('…') || word.contains('('), "{document}: {word} is to be written out");
            let Some((first, test)) = word.rsplit_once("::") else {
                found += usize::from(names_test(word));
                continue;
            };
            assert!(names_test(word), "{document}: {word}: there is no {}", module(first));
            let within = read(module(first));
            let defined = within.contains(&format!("fn {test}("));
            assert!(defined, "{document}: {word} is not in {}", module(first));
            found += 1;
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
        assert!(proven || explained, "{point}: {proof:?} is no test, and nothing says why there is none");
    }
}

#[test]
fn every_link_between_documents_leads_to_a_file() {
    for document in
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "docs/dependencies.md"].into_iter().chain(DOCUMENTS)
    {
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
