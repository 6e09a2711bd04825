//! The image builds its dependencies in a layer that an edit of the sources does not change.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::deployment_tools::output;
use crate::{read, root};

/// Copies what git knows, and what it would take, into a folder.
fn copy_sources(to: &Path) {
    let mut list = Command::new("git");
    list.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root());
    for file in output(&mut list).lines() {
        let (from, to) = (root().join(file), to.join(file));
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        // A file that was removed since the last commit is still listed.
        let _ = fs::copy(from, to);
    }
}

/// The commands of the Dockerfile that make the manifests, with a folder in the place of the root.
fn commands(folder: &Path) -> String {
    let dockerfile = read("Dockerfile");
    let (_, rest) = dockerfile.split_once("\nRUN mkdir /manifests").expect("the stage");
    let (commands, _) = rest.split_once("\n\n").expect("it ends");
    let target = folder.join("manifests").display().to_string();
    format!("mkdir /manifests{commands}").replace("/manifests", &target)
}

/// The content of the layer after these sources.
fn layer(folder: &Path) -> String {
    let _ = fs::remove_dir_all(folder.join("manifests"));
    let mut shell = Command::new("sh");
    output(shell.arg("-ec").arg(commands(folder)).current_dir(folder.join("sources")));
    let every_file = "find . -type f | sort | xargs sha256sum";
    output(Command::new("sh").arg("-c").arg(every_file).current_dir(folder.join("manifests")))
}

#[test]
fn an_edit_of_the_sources_leaves_the_layer_of_the_dependencies_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let sources = folder.path().join("sources");
    copy_sources(&sources);
    let before = layer(folder.path());
    // With these files alone cargo finds every crate, and the lock file is right.
    let mut cargo = Command::new(env!("CARGO"));
    let manifests = folder.path().join("manifests");
    cargo.args(["metadata", "--format-version=1", "--offline", "--locked"]).current_dir(manifests);
    // Only the crates of this platform were fetched.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    output(cargo.args(["--filter-platform", &platform]));

    fs::write(sources.join("gateway/src/lib.rs"), "//! Something else.\n").expect("an edit");
    fs::write(sources.join("gateway/src/another.rs"), "//! One more file.\n").expect("an edit");
    assert_eq!(layer(folder.path()), before);
    let lock = sources.join("Cargo.lock");
    fs::write(&lock, format!("{}\n# Newer.\n", read("Cargo.lock"))).expect("an edit");
    assert_ne!(layer(folder.path()), before);
}
