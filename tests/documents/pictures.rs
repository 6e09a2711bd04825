//! The pictures of the README against what they show: none may be older.
//!
//! The order of the commits decides, not their times. A change that is not committed yet is newer than every commit.
//! A clone of depth 1 has one commit for all files, and a copy without a repository has none: nothing is older there.

use std::path::Path;
use std::process::Command;

use crate::root;

/// Where the dashboard is drawn.
const DASHBOARD: &[&str] = &["clients/dashboard/src", "clients/dashboard/public", "clients/dashboard/index.html"];
/// Where `galley watch` is drawn.
const WATCH: &[&str] = &["src/cli/watch/screen", "src/cli/watch/screen.rs"];

const PICTURES: &[(&str, &[&str], &str)] = &[
    ("docs/pictures/order.png", DASHBOARD, "npm run pictures"),
    ("docs/pictures/kitchen.png", DASHBOARD, "npm run pictures"),
    ("docs/pictures/conflict.png", DASHBOARD, "npm run pictures"),
    ("docs/pictures/console.png", DASHBOARD, "npm run pictures"),
    ("docs/pictures/phone.png", DASHBOARD, "npm run pictures"),
    ("docs/pictures/watch.svg", WATCH, "cargo run -p galley-tests --bin galley-watch-picture"),
];

#[test]
fn no_picture_of_the_readme_is_older_than_what_it_shows() {
    if !root().join(".git").exists() {
        return;
    }
    for (picture, sources, command) in PICTURES {
        assert!(sources.iter().all(|source| root().join(source).exists()), "{picture} shows {sources:?}");
        let newer = newer_than(root(), picture, sources);
        assert!(newer.is_empty(), "{picture} is older than what it shows: take it again with `{command}`\n{newer}");
    }
}

#[test]
fn a_picture_is_older_from_the_first_change_until_it_is_taken_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let write = |file: &str, text: &str| std::fs::write(at.join(file), text).expect("a file");
    let commit = |message: &str| {
        git(at, &["add", "."]);
        git(at, &["-c", "user.name=Test", "-c", "user.email=test@localhost", "commit", "--quiet", "--message", message]);
    };
    let is_older = || !newer_than(at, "picture", &["source"]).is_empty();
    git(at, &["init", "--quiet"]);
    write("source", "1");
    write("picture", "1");
    commit("both at once");
    assert!(!is_older());
    write("source", "2");
    assert!(is_older(), "a change that is not committed");
    commit("the source");
    assert!(is_older(), "a change that is committed");
    write("picture", "2");
    assert!(!is_older(), "a new picture that is not committed");
    commit("the picture");
    write("other", "1");
    commit("something else");
    assert!(!is_older());
}

/// The commits and the uncommitted changes of the sources that the picture does not know. Empty when there are none.
fn newer_than(repository: &Path, picture: &str, sources: &[&str]) -> String {
    let with = |arguments: &[&str], paths: &[&str]| git(repository, &[arguments, &["--"], paths].concat());
    if !with(&["status", "--porcelain"], &[picture]).is_empty() {
        return String::new();
    }
    let taken = with(&["log", "-1", "--format=%H"], &[picture]);
    assert!(!taken.is_empty(), "{picture} is in no commit");
    let since = format!("{taken}..HEAD");
    let committed = with(&["log", "--format=%h %s", &since], sources);
    let uncommitted = with(&["status", "--porcelain"], sources);
    [committed, uncommitted].join("\n").trim().to_owned()
}

/// The output of git, without the white space around it.
fn git(repository: &Path, arguments: &[&str]) -> String {
    // A checkout often belongs to another user than the one who runs the tests in a container.
    let run = Command::new("git").args(["-c", "safe.directory=*"]).args(arguments).current_dir(repository).output();
    let output = run.expect("git is installed where there is a repository");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
