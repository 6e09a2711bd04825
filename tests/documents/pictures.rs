//! No picture in the README is older than the code that draws it.
//!
//! The order of commits decides, not their times. An uncommitted change is newer than every commit.
//! A clone of depth 1 has a single commit for all files, and a copy without a repository has none:
//! there nothing counts as older.

use std::path::Path;
use std::process::Command;

use crate::root;

/// The sources that draw the dashboard.
const DASHBOARD: &[&str] =
    &["clients/dashboard/src", "clients/dashboard/public", "clients/dashboard/index.html"];
/// The sources that draw `galley watch`.
const WATCH: &[&str] = &["src/cli/watch/screen", "src/cli/watch/screen.rs"];

/// The pictures that one command takes, the sources that draw them, and the command. A picture that
/// comes out unchanged is in no new commit, but the others of its command are, because they show
/// the time of day.
const PICTURES: &[(&[&str], &[&str], &str)] = &[
    (
        &["order.png", "kitchen.png", "conflict.png", "console.png", "phone.png"],
        DASHBOARD,
        "npm run pictures",
    ),
    (&["watch.svg"], WATCH, "cargo run -p galley-tests --bin galley-watch-picture"),
];

#[test]
fn no_picture_of_the_readme_is_older_than_what_it_shows() {
    if !root().join(".git").exists() {
        return;
    }
    for (names, sources, command) in PICTURES {
        let pictures: Vec<String> =
            names.iter().map(|name| format!("docs/pictures/{name}")).collect();
        let pictures: Vec<&str> = pictures.iter().map(String::as_str).collect();
        let missing: Vec<_> =
            pictures.iter().chain(*sources).filter(|path| !root().join(path).exists()).collect();
        assert!(missing.is_empty(), "there is no {missing:?}");
        let newer = newer_than(root(), &pictures, sources);
        assert!(
            newer.is_empty(),
            "{names:?} are older than what they show: take them again with `{command}`\n{newer}"
        );
    }
}

#[test]
fn every_picture_says_what_it_shows() {
    for entry in
        std::fs::read_dir(root().join("docs/pictures")).expect("the folder of the pictures")
    {
        let name = entry.expect("an entry").file_name();
        assert!(
            PICTURES.iter().any(|(names, ..)| names.iter().any(|known| name == *known)),
            "{name:?} is not in the table"
        );
    }
}

#[test]
fn a_picture_is_older_from_the_first_change_until_it_is_taken_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let write = |file: &str, text: &str| std::fs::write(at.join(file), text).expect("a file");
    let commit = |message: &str| {
        git(at, &["add", "."]);
        git(
            at,
            &[
                "-c",
                "user.name=Test",
                "-c",
                "user.email=test@localhost",
                "commit",
                "--quiet",
                "--message",
                message,
            ],
        );
    };
    let is_older = || !newer_than(at, &["picture", "same"], &["source"]).is_empty();
    git(at, &["init", "--quiet"]);
    write("source", "1");
    write("picture", "1");
    write("same", "1");
    commit("all at once");
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

/// The commits and uncommitted changes of the sources that are newer than the pictures; empty if
/// there are none.
fn newer_than(repository: &Path, pictures: &[&str], sources: &[&str]) -> String {
    let with =
        |arguments: &[&str], paths: &[&str]| git(repository, &[arguments, &["--"], paths].concat());
    if !with(&["status", "--porcelain"], pictures).is_empty() {
        return String::new();
    }
    let taken = with(&["log", "-1", "--format=%H"], pictures);
    assert!(!taken.is_empty(), "{pictures:?} are in no commit");
    let since = format!("{taken}..HEAD");
    let committed = with(&["log", "--format=%h %s", &since], sources);
    let uncommitted = with(&["status", "--porcelain"], sources);
    [committed, uncommitted].join("\n").trim().to_owned()
}

/// The trimmed output of git.
fn git(repository: &Path, arguments: &[&str]) -> String {
    // In a container the checkout often belongs to another user than the tests run as.
    let run = Command::new("git")
        .args(["-c", "safe.directory=*"])
        .args(arguments)
        .current_dir(repository)
        .output();
    let output = run.expect("git is installed where there is a repository");
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
