//! Comments and lines have the form that CONTRIBUTING.md asks for.

use std::fs;

use super::files_named;

/// The first words of a doc comment that names its subject too late.
const RIDDLES: [&str; 7] = ["What", "Who", "Which", "Whether", "Of", "That", "Those"];
/// The most doc comments of one line that begin so, in per cent.
const MAX_RIDDLES: usize = 5;
/// The width of a line.
const WIDTH: usize = 100;
/// The most lines that are wider, per thousand: strings that cannot be broken.
const MAX_WIDE: usize = 10;

/// The lines of every Rust file.
fn files() -> Vec<Vec<String>> {
    let read = |path| fs::read_to_string(path).expect("text").lines().map(str::to_owned).collect();
    files_named(".rs").into_iter().map(read).collect()
}

#[test]
fn doc_comments_say_what_a_thing_is() {
    let doc = |line: Option<&String>| {
        line.and_then(|line| line.trim_start().strip_prefix("/// ").map(str::to_owned))
    };
    let (mut all, mut riddles) = (0, Vec::new());
    for file in files() {
        for (index, line) in file.iter().enumerate() {
            let Some(text) = doc(Some(line)) else { continue };
            if doc(index.checked_sub(1).and_then(|before| file.get(before))).is_some()
                || doc(file.get(index + 1)).is_some()
            {
                continue;
            }
            all += 1;
            let first =
                text.split(|character: char| !character.is_alphabetic()).next().unwrap_or_default();
            if RIDDLES.contains(&first) {
                riddles.push(text);
            }
        }
    }
    assert!(all > 1_000, "there are doc comments");
    assert!(riddles.len() * 100 <= all * MAX_RIDDLES, "{} of {all}: {riddles:#?}", riddles.len());
}

#[test]
fn lines_are_narrow() {
    let lines: Vec<String> = files().into_iter().flatten().collect();
    let wide: Vec<&String> = lines.iter().filter(|line| line.chars().count() > WIDTH).collect();
    assert!(
        wide.len() * 1_000 <= lines.len() * MAX_WIDE,
        "{} of {} lines: {wide:#?}",
        wide.len(),
        lines.len()
    );
}
