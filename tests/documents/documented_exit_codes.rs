//! The exit codes in `docs/command-line.md` equal those in `galley --help`.

use crate::documented_settings::help;
use crate::{read, rows, section};

#[test]
fn the_exit_codes_are_those_of_the_help() {
    let help = help("galley", &["--help"]);
    let (_, table) = help.split_once("Exit codes:\n").expect("the help has a table of exit codes");
    let lines = table
        .lines()
        .map(str::trim)
        .take_while(|line| line.starts_with(|first: char| first.is_ascii_digit()));
    let explained: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once("  ")).collect();
    let document = read("docs/command-line.md");
    let listed: Vec<(&str, &str)> =
        rows(section(&document, "## Exit codes")).iter().map(|row| (row[0], row[1])).collect();
    assert!(listed.len() > 10, "{listed:?}");
    assert_eq!(listed, explained, "docs/command-line.md (left) and `galley --help` (right)");
}
