//! The Debian package has every program and every unit, where the units look for them.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::Value;

use crate::deployment_tools::output;
use crate::systemd_units::units;
use crate::{read, root};

/// The metadata of the package, as cargo reads them.
fn metadata() -> Value {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version=1", "--no-deps", "--offline"]).current_dir(root());
    let metadata: Value = serde_json::from_str(&output(&mut cargo)).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let package = packages.iter().find(|package| package["name"] == "galley").expect("galley");
    package["metadata"]["deb"].clone()
}

/// The files of the package: the source of each, and the folder that it comes to.
fn assets<'a>(metadata: &'a Value) -> Vec<(&'a str, &'a str)> {
    let assets = metadata["assets"].as_array().expect("assets").iter();
    let path = |value: &'a Value| value.as_str().expect("a path");
    assets.map(|asset| (path(&asset[0]), path(&asset[1]))).collect()
}

#[test]
fn the_package_has_what_its_units_start() {
    let metadata = metadata();
    let assets = assets(&metadata);
    for (source, _) in assets.iter().filter(|(source, _)| !source.starts_with("target/")) {
        let folder = source.rsplit_once("/*").map_or(*source, |(folder, _)| folder);
        assert!(root().join(folder).exists(), "there is no {source}");
    }
    assert!(assets.contains(&("deploy/systemd/*.service", "usr/lib/systemd/system/")));
    for unit in units() {
        let text = read(unit);
        let command = text.lines().find_map(|line| line.strip_prefix("ExecStart=/")).expect("it");
        let program = command.split(' ').next().unwrap_or_default();
        let (folder, name) = program.rsplit_once('/').expect("a path");
        let asset = (&*format!("target/release/{name}"), &*format!("{folder}/"));
        assert!(assets.contains(&asset), "the package has no {program}");
        for file in text.lines().filter_map(|line| line.strip_prefix("EnvironmentFile=-")) {
            let files = metadata["conf-files"].as_array().expect("a list");
            assert!(files.iter().any(|known| known == file), "{file} is no configuration");
        }
    }
}

#[test]
fn its_scripts_are_shell_and_make_the_user_of_the_units() {
    let metadata = metadata();
    let folder = root().join(metadata["maintainer-scripts"].as_str().expect("a folder"));
    for script in ["postinst", "prerm", "postrm", "try"] {
        output(Command::new("bash").arg("-n").arg(folder.join(script)));
        let mode = folder.join(script).metadata().expect("a file").permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script} can be run");
    }
    let made = read("deploy/debian/postinst");
    assert!(made.contains(" galley\n") && made.contains("adduser --system --group"), "{made}");
    assert!(metadata["depends"].as_str().expect("text").contains("adduser"));
}
