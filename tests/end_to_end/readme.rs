//! What the README says can be typed, can be typed.

use galley_tests::program::{command, path_of};
use galley_tests::readme::{ADDRESS, sections};
use galley_tests::terminal::search_path;
use galley_tests::{Stack, within};

#[tokio::test]
async fn every_command_of_the_readme_works() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let sections = sections(&text);
    assert!(!sections.is_empty(), "{path} has no commands to run");
    let stack = Stack::embedded().seeded().start().await;
    let client = stack.client();
    let galley = path_of("galley");
    let programs = galley.parent().expect("it lies in a folder").display().to_string();
    let search = format!("{programs}:{}", search_path(stack.folder()));
    let mut failures = Vec::new();
    for section in sections {
        let script = section.script.replace(ADDRESS, client.base());
        let script = script.replace(&ADDRESS.replace("http", "ws"), &client.socket_url("").replace("/ws", ""));
        let mut shell = tokio::process::Command::from(command("bash"));
        shell.args(["-euo", "pipefail", "-c", &script]).current_dir(stack.folder()).kill_on_drop(true);
        shell.env("PATH", &search).env("GALLEY", &galley).env("GALLEY_URL", client.base());
        let output = within(&section.heading, shell.output()).await.expect("bash can be run");
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            failures.push(format!("{}: {}\n{script}\n{said}", section.heading, output.status));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
