//! Interactive sessions with `websocat`, as described in `clients/websocat/sessions/`.
//!
//! A line `> …` is typed, a line `< …` is JSON that an answer must contain, and any other line is
//! for the reader. Unexpected answers are skipped.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use crate::json::contains;
use crate::patience::within;
use crate::program::path_of;
use crate::wire_check::check_frame;

/// The files that describe sessions.
#[must_use]
pub fn sessions() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../clients/websocat/sessions");
    let entries =
        std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
    files.sort();
    files
}

/// A search path with a `websocat`: the real one, or its stand-in by that name in `folder`.
#[must_use]
pub fn search_path(folder: &Path) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    if path.split(':').any(|place| Path::new(place).join("websocat").exists()) {
        return path;
    }
    let link = folder.join("websocat");
    if !link.exists() {
        std::os::unix::fs::symlink(path_of("websocat-stand-in"), &link)
            .expect("the folder is ours");
    }
    format!("{path}:{}", folder.display())
}

/// Plays a session against the gateway whose sockets are at `url`.
pub async fn play(session: &str, url: &str, search_path: &str) {
    let mut websocat = Command::new("websocat");
    websocat
        .arg(url)
        .env("PATH", search_path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut process = websocat.spawn().expect("there is a websocat or its stand-in");
    let mut input = process.stdin.take().expect("it is piped");
    let mut output = BufReader::new(process.stdout.take().expect("it is piped")).lines();
    let mut answers: Vec<Value> = Vec::new();
    for line in session.lines() {
        if let Some(typed) = line.strip_prefix("> ") {
            input.write_all(format!("{typed}\n").as_bytes()).await.expect("websocat reads");
        } else if let Some(expected) = line.strip_prefix("< ") {
            let expected =
                serde_json::from_str(expected).unwrap_or_else(|error| panic!("{error} in {line}"));
            within(line, async {
                loop {
                    if let Some(at) = answers.iter().position(|answer| contains(answer, &expected))
                    {
                        answers.remove(at);
                        return;
                    }
                    let answer = output
                        .next_line()
                        .await
                        .expect("websocat writes")
                        .expect("websocat goes on");
                    let answer = serde_json::from_str(&answer)
                        .unwrap_or_else(|error| panic!("{error}: {answer}"));
                    check_frame(&answer);
                    answers.push(answer);
                }
            })
            .await;
        }
    }
    drop(input);
    assert!(
        within("the end of websocat", process.wait()).await.is_ok_and(|status| status.success())
    );
}
