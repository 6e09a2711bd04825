//! The systemd units are valid, hardened alike, and name settings and secrets that exist.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::deployment_tools::{assert_setting, output};
use crate::{files_named, read};

/// The most exposure that `systemd-analyze security` may find, in tenths of its scale up to 10.
const MAX_EXPOSURE: &str = "12";
/// The time of a stop with the default delay and drain of a gateway that others reach.
const STOP: u64 = 5 + 10 + 20;

/// The paths of the units.
pub fn units() -> Vec<PathBuf> {
    let units = files_named(".service");
    assert_eq!(units.len(), 4, "{units:?}");
    units
}

/// The name of a file.
fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("a name")
}

/// The values of a key of a unit, without comments.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let entries = unit.lines().filter_map(|line| line.split_once('='));
    entries.filter(|(name, _)| *name == key).map(|(_, value)| value).collect()
}

/// The variables that a unit sets.
fn environment(unit: &str) -> Vec<(&str, &str)> {
    let lines = values(unit, "Environment");
    lines.iter().flat_map(|line| line.split(' ')).filter_map(|pair| pair.split_once('=')).collect()
}

#[test]
fn systemd_accepts_the_units_with_their_programs() {
    let folder = tempfile::tempdir().expect("a folder");
    let system = folder.path().join("usr/lib/systemd/system");
    for made in [&system, &folder.path().join("usr/bin"), &folder.path().join("bin")] {
        fs::create_dir_all(made).expect("a folder");
    }
    // A system has these targets and these programs.
    for target in fs::read_dir("/usr/lib/systemd/system").expect("the package systemd").flatten() {
        if target.path().extension().is_some_and(|end| end == "target") {
            fs::copy(target.path(), system.join(target.file_name())).expect("a copy");
        }
    }
    for program in ["usr/bin/galley", "usr/bin/galley-gateway", "usr/bin/galley-worker", "bin/kill"]
    {
        fs::copy("/bin/true", folder.path().join(program)).expect("a program");
    }
    for unit in units() {
        fs::copy(&unit, system.join(name(&unit))).expect("a copy");
    }
    for unit in units() {
        let mut verify = Command::new("systemd-analyze");
        verify.args(["verify", "--man=no", "--root"]).arg(folder.path());
        output(verify.arg(Path::new("/usr/lib/systemd/system").join(name(&unit))));
    }
}

#[test]
fn every_unit_is_hardened_and_all_alike() {
    let mut hardening = Vec::new();
    for unit in units() {
        let mut security = Command::new("systemd-analyze");
        security.args(["security", "--offline=yes", "--no-pager", "--threshold", MAX_EXPOSURE]);
        output(security.arg(&unit));
        let text = read(&unit);
        let (_, own) = text.split_once("\n# Hardening").expect("the hardening");
        hardening.push(own.split("\n\n").next().unwrap_or_default().trim_end().to_owned());
        assert_eq!(values(&text, "User"), ["galley"], "{}", name(&unit));
        assert!(!values(&text, "TasksMax").is_empty(), "{} is bounded", name(&unit));
    }
    hardening.dedup();
    assert_eq!(hardening.len(), 1, "{hardening:#?}");
}

#[test]
fn services_notify_and_have_the_time_that_a_stop_takes() {
    for unit in units().into_iter().filter(|unit| name(unit) != "galley-migrate.service") {
        let text = read(&unit);
        let value = |key| values(&text, key).first().copied().unwrap_or_default();
        assert_eq!(value("Type"), "notify", "{}", name(&unit));
        assert_eq!(value("RestartPreventExitStatus"), "2", "{}", name(&unit));
        let [stop, files, watchdog] = ["TimeoutStopSec", "LimitNOFILE", "WatchdogSec"]
            .map(|key| value(key).parse::<u64>().unwrap_or_else(|_| panic!("{key}")));
        assert!(stop > STOP && files >= 65_536 && watchdog > 0, "{}", name(&unit));
    }
}

#[test]
fn every_setting_and_every_secret_of_a_unit_exists() {
    let settings = read("deploy/debian/galley.env");
    let listed = settings.lines().filter_map(|line| line.trim_start_matches('#').split_once('='));
    for (variable, _) in listed.filter(|(variable, _)| !variable.contains(' ')) {
        assert_setting(variable, "galley.env");
    }
    let documented = read("docs/deployment.md");
    for unit in units() {
        let text = read(&unit);
        for (variable, value) in environment(&text) {
            assert_setting(variable, name(&unit));
            let Some(secret) = value.strip_prefix("%d/") else {
                assert!(!variable.ends_with("SECRET"), "{}: {variable}", name(&unit));
                continue;
            };
            let file = format!("/etc/galley/{secret}");
            let credential = format!("{secret}:{file}");
            assert!(values(&text, "LoadCredential").contains(&&*credential), "{credential}");
            assert!(documented.contains(&file), "docs/deployment.md: {file}");
        }
    }
}
