//! The operating guide explains every line of the log at WARN and ERROR.

use std::fs;

use crate::{files_named, quoted, read, root, rows, section};

/// The folders of what is shipped, and the tools of tests within them.
const SHIPPED: [&str; 7] = ["bus", "gateway", "launch", "src", "store", "telemetry", "worker"];

/// The text of a call of `warn!` or `error!`: its last string, with `…` for what differs from line
/// to line.
fn text(call: &str) -> String {
    let (mut depth, mut strings) = (1, vec![String::new()]);
    let mut is_string = false;
    for letter in call.chars() {
        match letter {
            '"' if is_string => strings.push(String::new()),
            ')' if !is_string => depth -= 1,
            '(' if !is_string => depth += 1,
            _ if is_string => strings.last_mut().expect("one is there").push(letter),
            _ => {}
        }
        is_string ^= letter == '"';
        if depth == 0 {
            break;
        }
    }
    let text = strings.into_iter().rfind(|text| !text.is_empty()).unwrap_or_default();
    let mut parts = text.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (_, rest) = part.split_once('}').unwrap_or(("", part));
        format!("{text}…{rest}")
    })
}

#[test]
fn every_line_at_warn_and_error_is_explained() {
    let guide = read("docs/operating.md");
    let table = section(&guide, "## Lines of the log");
    let rows = rows(table);
    let mut all = 0;
    for path in files_named(".rs") {
        let place = path.strip_prefix(root()).expect("a file of the project");
        let folder = place.iter().next().and_then(|folder| folder.to_str()).unwrap_or_default();
        let is_test = place.iter().any(|part| part == "tests");
        if !SHIPPED.contains(&folder) || is_test {
            continue;
        }
        let source = fs::read_to_string(&path).expect("text");
        let (source, _) = source.split_once("#[cfg(test)]").unwrap_or((&source, ""));
        for (call, level) in [("warn!(", "WARN"), ("error!(", "ERROR")] {
            for call in source.split(call).skip(1) {
                let line = text(call);
                // Others take their whole text from elsewhere: the guide has a row for each.
                if !line.contains(char::is_alphabetic) {
                    continue;
                }
                let begins = |word: &str| line.starts_with(word.trim_end_matches('…'));
                let known = |row: &Vec<&str>| row[0].contains(level) && quoted(row[1]).any(begins);
                assert!(rows.iter().any(known), "{}: {level} {line:?}", place.display());
                all += 1;
            }
        }
    }
    assert!(all > 30, "{all} lines");
}
