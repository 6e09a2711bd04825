//! A name leads to one place: types, files and the words of the glossary.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{files_named, quoted, read, root, section};

/// The most words of the glossary.
const MAX_WORDS: usize = 40;
/// The most files on the way of an order.
const MAX_WALK: usize = 35;

/// Names that stand in more than one place, with these places.
fn repeated(places: impl Iterator<Item = (String, String)>) -> BTreeMap<String, Vec<String>> {
    let mut by_name = BTreeMap::<String, Vec<String>>::new();
    for (name, place) in places {
        by_name.entry(name).or_default().push(place);
    }
    by_name.retain(|_, places| places.len() > 1);
    by_name
}

/// The path in the project.
fn in_project(path: &Path) -> String {
    path.strip_prefix(root()).expect("a file of the project").display().to_string()
}

/// The type that a line defines.
fn defined_type(line: &str) -> Option<String> {
    let line = line.trim_start();
    let line = line
        .strip_prefix("pub")
        .map_or(line, |rest| rest.split_once(") ").map_or(rest, |(_, rest)| rest).trim_start());
    let (kind, rest) = line.split_once(' ')?;
    let name = rest.split(|letter: char| !letter.is_alphanumeric()).next()?;
    (["struct", "enum", "trait", "union"].contains(&kind)
        && name.starts_with(|letter: char| letter.is_ascii_uppercase()))
    .then(|| name.to_owned())
}

#[test]
fn a_type_is_defined_once() {
    let types = files_named(".rs").into_iter().flat_map(|path| {
        let place = in_project(&path);
        let source = fs::read_to_string(&path).expect("text");
        let types: Vec<_> = source.lines().filter_map(defined_type).collect();
        types.into_iter().map(move |name| (name, place.clone()))
    });
    let types: Vec<_> = types.collect();
    assert!(types.len() > 400, "there are types");
    let repeated = repeated(types.into_iter());
    assert!(repeated.is_empty(), "{repeated:#?}");
}

/// The two halves of the store have the same files.
#[test]
fn a_file_has_a_name_of_its_own() {
    let files = files_named(".rs").into_iter().filter_map(|path| {
        let place = in_project(&path);
        let name = path.file_name()?.to_string_lossy().into_owned();
        let by_rule = ["lib.rs", "main.rs", "build.rs"].contains(&name.as_str());
        let half = place.starts_with("store/src/sqlite/");
        (!by_rule && !half).then_some((name, place))
    });
    let repeated = repeated(files);
    assert!(repeated.is_empty(), "{repeated:#?}");
}

#[test]
fn the_glossary_is_short_and_has_each_word_once() {
    let architecture = read("ARCHITECTURE.md");
    let glossary = section(&architecture, "## Glossary");
    let words = glossary.lines().filter(|line| line.starts_with("- **"));
    let words: Vec<_> = words.filter_map(|line| line.split("**").nth(1)).collect();
    assert!(words.len() > 20 && words.len() <= MAX_WORDS, "{} words", words.len());
    let repeated = repeated(words.iter().map(|word| (word.to_lowercase(), (*word).to_owned())));
    assert!(repeated.is_empty(), "{repeated:#?}");
}

/// Each link of the tour has the form `` [`Type::function`](../path/of/file.rs) ``, and leads to a
/// file that defines this function.
#[test]
fn the_tour_leads_to_what_it_names() {
    let tour = read("docs/tour.md");
    let mut walk = Vec::new();
    let mut wrong = Vec::new();
    let (way, _) = tour.split_once("\n## Where to change").expect("the way comes first");
    for (index, link) in tour.split("](../").enumerate().skip(1) {
        let path = link.split(')').next().unwrap_or_default();
        let text = tour.split("](../").nth(index - 1).unwrap_or_default();
        let text = text.rsplit('[').next().unwrap_or_default();
        let Ok(source) = fs::read_to_string(root().join(path)) else {
            if !root().join(path).is_dir() {
                wrong.push(format!("{path} does not exist"));
            }
            continue;
        };
        if way.contains(&format!("](../{path})")) && !walk.contains(&path) {
            walk.push(path);
        }
        let Some(name) = quoted(text).next().and_then(|name| name.rsplit("::").next()) else {
            continue;
        };
        let known = name.contains(['.', '/'])
            || ["fn ", "struct ", "enum ", "trait ", "macro_rules! ", "const ", "mod "]
                .iter()
                .any(|kind| source.contains(&format!("{kind}{name}")));
        if !known {
            wrong.push(format!("{path} does not define {name}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(walk.len() > 10 && walk.len() <= MAX_WALK, "{} files: {walk:#?}", walk.len());
}
