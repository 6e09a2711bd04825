//! The documents and the source are true and readable: the dependencies, settings, tests and files
//! that they name exist, and the pictures are up to date.

use std::fs;
use std::path::{Path, PathBuf};

mod advisories;
mod comments;
mod compose_file;
mod container_image;
mod debian_package;
mod dependencies;
mod deployment_tools;
mod documented_exit_codes;
mod documented_promises;
mod documented_settings;
mod kubernetes_files;
mod logged_lines;
mod metrics_document;
mod migration_files;
mod modules;
mod named_tests;
mod observability_files;
mod pictures;
mod systemd_units;
mod unique_names;
mod workflow_files;

/// The folder of the project.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this package is in a folder of the project")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file whose name ends in `end`, except fetched and built ones.
fn files_named(end: &str) -> Vec<PathBuf> {
    fn look(folder: &Path, end: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder that can be read") {
            let path = entry.expect("an entry").path();
            let own = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            // The first two hold fetched and built files; folders with a dot belong to tools.
            if own == "node_modules" || own == "target" || own.starts_with('.') {
                continue;
            }
            if path.is_dir() {
                look(&path, end, found);
            } else if own.ends_with(end) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    look(root(), end, &mut found);
    found
}

/// The text below a heading, up to the next one of its level.
fn section<'a>(markdown: &'a str, heading: &str) -> &'a str {
    let (_, rest) = markdown
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("there is no {heading}"));
    rest.split("\n## ").next().unwrap_or_default()
}

/// The words in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The cells of the rows of all tables, without the heads and the lines below these.
fn rows(markdown: &str) -> Vec<Vec<&str>> {
    let lines: Vec<&str> = markdown.lines().collect();
    let is_head = |at: usize| lines.get(at + 1).is_some_and(|next| next.starts_with("|--"));
    let in_table =
        |at: &usize| lines[*at].starts_with('|') && !lines[*at].starts_with("|--") && !is_head(*at);
    (0..lines.len())
        .filter(in_table)
        .map(|at| lines[at].trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}
