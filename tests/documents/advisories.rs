//! No crate of the lock file has a known vulnerability, is unsound or unmaintained, as far as the
//! snapshot of `RustSec`'s advisories in `tests/supply_chain/advisories.txt` knows.
//! `tests/supply_chain/renew_advisories.py` renews it.

use semver::{Version, VersionReq};

use crate::read;

/// An advisory of the snapshot.
struct KnownAdvisory<'a> {
    id: &'a str,
    crate_name: &'a str,
    unaffected: Vec<VersionReq>,
}

impl<'a> KnownAdvisory<'a> {
    /// Reads a line; `None` for a comment, and for a notice, which asks for nothing.
    fn of(line: &'a str) -> Option<Self> {
        let mut words = line.split(' ');
        let (id, kind) = (words.next()?, words.next()?);
        if id == "#" || kind == "notice" {
            return None;
        }
        let crate_name = words.next().expect("a crate");
        let ranges = words.next().into_iter().flat_map(|ranges| ranges.split(';'));
        let unaffected = ranges.map(|range| range.parse().expect("a range of versions")).collect();
        Some(Self { id, crate_name, unaffected })
    }

    fn affects(&self, name: &str, version: &Version) -> bool {
        // A release candidate is judged like its release.
        let release = Version::new(version.major, version.minor, version.patch);
        self.crate_name == name && !self.unaffected.iter().any(|range| range.matches(&release))
    }
}

/// The name and the version of each crate in the lock file that comes from a registry.
fn locked(lock: &str) -> impl Iterator<Item = (&str, Version)> {
    fn value<'a>(entry: &'a str, name: &str) -> &'a str {
        let line = entry.lines().find_map(|line| line.strip_prefix(name));
        line.expect("a field").trim_matches('"')
    }
    let entries = lock.split("[[package]]").skip(1);
    entries.filter(|entry| entry.contains("\nsource = ")).map(|entry| {
        (value(entry, "name = "), value(entry, "version = ").parse().expect("a version"))
    })
}

#[test]
fn no_crate_of_the_lock_file_has_an_advisory() {
    let (snapshot, lock) = (read("tests/supply_chain/advisories.txt"), read("Cargo.lock"));
    let rules = read("deny.toml");
    let advisories: Vec<_> = snapshot.lines().filter_map(KnownAdvisory::of).collect();
    let crates: Vec<_> = locked(&lock).collect();
    assert!(advisories.len() > 1_000 && crates.len() > 300, "both were read");
    let live = crates.iter().flat_map(|(name, version)| {
        let live = advisories.iter().filter(|advisory| advisory.affects(name, version));
        live.map(move |advisory| format!("{}: {name} {version}", advisory.id))
    });
    // An exception is written there, with its reason.
    let live: Vec<String> = live.filter(|one| !rules.contains(&one[..17])).collect();
    assert!(live.is_empty(), "{live:#?}");
}

#[test]
fn an_advisory_is_found_in_a_lock_file_that_has_one() {
    let line = "RUSTSEC-2020-0001 vulnerability soup >=1.2.3;^0.9.1";
    let advisory = KnownAdvisory::of(line).expect("an advisory");
    let lock = |version| {
        format!("[[package]]\nname = \"soup\"\nversion = \"{version}\"\nsource = \"r\"\n")
    };
    for (version, is_live) in [
        ("1.2.2", true),
        ("1.2.3", false),
        ("0.9.5", false),
        ("0.8.0", true),
        ("1.2.4-rc.1", false),
    ] {
        let lock = lock(version);
        let (name, found) = locked(&lock).next().expect("a crate");
        assert_eq!(advisory.affects(name, &found), is_live, "{version}");
    }
    assert!(KnownAdvisory::of("RUSTSEC-2020-0002 notice soup").is_none());
    let always = KnownAdvisory::of("RUSTSEC-2020-0003 unmaintained soup").expect("an advisory");
    assert!(always.affects("soup", &Version::new(9, 0, 0)));
}
