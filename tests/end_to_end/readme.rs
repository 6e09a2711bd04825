//! The commands of the documents work unchanged.

use std::path::Path;
use std::time::Duration;

use galley_tests::program::{command, path_of};
use galley_tests::readme_blocks::blocks;
use galley_tests::test_terminal::search_path;
use galley_tests::wire_check::check_frame;
use tempfile::TempDir;

/// The longest time for a document on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);

/// Runs every command of a document, in order and unchanged, in a fresh environment, and returns
/// the output.
async fn follow(document: &str) -> String {
    let project = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let text = std::fs::read_to_string(project.join(document))
        .unwrap_or_else(|error| panic!("{document}: {error}"));
    let folder = tempfile::tempdir().expect("a folder");
    lay_out(&folder, &text);
    let galley = path_of("galley");
    let mut script = tokio::process::Command::from(command(project.join("tests/readme/follow")));
    script.arg(folder.path()).arg(galley.parent().expect("it lies in a folder"));
    script.env("PATH", search_path(folder.path())).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, script.output()).await;
    let output = output
        .unwrap_or_else(|_| panic!("{document} takes longer than {PATIENCE:?}"))
        .expect("the script can be run");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{document}: {}\n{said}\n{complaint}", output.status);
    said
}

fn lay_out(folder: &TempDir, text: &str) {
    let blocks = blocks(text);
    assert!(!blocks.is_empty(), "the document has no commands");
    let place = folder.path().join("blocks");
    std::fs::create_dir(&place).expect("the folder is ours");
    for (number, block) in blocks.iter().enumerate() {
        assert!(
            ["", "serve", "stopped"].contains(&block.kind.as_str()),
            "no such kind of block: {}",
            block.kind
        );
        let name =
            [format!("{number:02}").as_str(), &block.kind, "sh"].join(".").replace("..", ".");
        std::fs::write(place.join(name), &block.script).expect("the folder is ours");
    }
}

#[tokio::test]
async fn every_command_of_the_readme_works_as_it_stands() {
    let said = follow("README.md").await;
    let frames = said.lines().filter(|line| line.starts_with(r#"{"type":""#));
    let read = |frame: &str| {
        serde_json::from_str(frame).unwrap_or_else(|error| panic!("{error}: {frame}"))
    };
    let types: Vec<String> = frames
        .map(|frame| {
            let frame: serde_json::Value = read(frame);
            check_frame(&frame);
            frame["type"].to_string()
        })
        .collect();
    assert!(
        types.iter().filter(|name| *name == "\"reply\"").count() > 1,
        "the sockets' commands were answered: {types:?}\n{said}"
    );
}

#[tokio::test]
async fn every_command_of_the_page_about_security_works_as_it_stands() {
    let said = follow("docs/security.md").await;
    assert!(said.contains("Amber Bassoon"), "the demo's heroes are listed: {said}");
}
