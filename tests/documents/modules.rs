//! The modules of a crate form no cycle, so that each can be understood with those below it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::files_named;

/// The path of a module; empty for the root of the crate.
type Name = Vec<String>;

/// The modules of a crate, each with the paths that its product code names.
struct Crate(BTreeMap<Name, Vec<Name>>);

impl Crate {
    /// The crate whose files are in this folder.
    fn read(folder: &Path) -> Self {
        let inside: Vec<_> =
            files_named(".rs").into_iter().filter(|path| path.starts_with(folder)).collect();
        let modules = inside.iter().map(|path| {
            let path_in_crate = path.strip_prefix(folder).expect("it is inside").with_extension("");
            let names = path_in_crate.iter().map(|name| name.to_string_lossy().into_owned());
            let module: Name = names.filter(|name| name != "lib" && name != "main").collect();
            let source = fs::read_to_string(path).expect("text");
            let used = paths_in(&product_code(&source), &module);
            (module, used)
        });
        let tests = |module: &Name| {
            module.last().is_some_and(|name| name.ends_with("tests") || name == "bin")
        };
        Self(modules.filter(|(module, _)| !tests(module)).collect())
    }

    /// The longest prefix of a path that is a module.
    fn module_of(&self, path: &[String]) -> Name {
        let lengths = (0..=path.len()).rev();
        lengths
            .map(|length| path[..length].to_vec())
            .find(|name| self.0.contains_key(name))
            .unwrap_or_default()
    }

    /// For each module, the uses among its children, by their own code or by modules inside them.
    fn uses(&self) -> BTreeMap<Name, BTreeMap<String, BTreeSet<String>>> {
        let mut uses = BTreeMap::<Name, BTreeMap<String, BTreeSet<String>>>::new();
        for (module, used) in &self.0 {
            for path in used {
                let other = self.module_of(path);
                let common =
                    module.iter().zip(&other).take_while(|(one, other)| one == other).count();
                if let (Some(one), Some(other)) = (module.get(common), other.get(common)) {
                    let siblings = uses.entry(module[..common].to_vec()).or_default();
                    siblings.entry(one.clone()).or_default().insert(other.clone());
                }
            }
        }
        uses
    }
}

/// The lines before the tests, without comments.
fn product_code(source: &str) -> String {
    let source = source.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths that begin with `crate` or `super`.
fn paths_in(source: &str, module: &[String]) -> Vec<Name> {
    let mut paths = Vec::new();
    for (start, base) in [
        ("crate::", &[][..]),
        ("super::", module.split_last().map_or(&[][..], |(_, parents)| parents)),
    ] {
        for (at, _) in source.match_indices(start) {
            let before = source[..at].chars().next_back();
            if before
                .is_some_and(|before| before.is_alphanumeric() || before == '_' || before == ':')
            {
                continue;
            }
            let (mut base, mut rest) = (base.to_vec(), &source[at + start.len()..]);
            while let Some(above) = rest.strip_prefix("super::") {
                base.pop();
                rest = above;
            }
            add_tree(&base, rest, &mut paths);
        }
    }
    paths
}

/// Adds the paths of a `use` tree, or one path; returns the text after it.
fn add_tree<'a>(base: &[String], mut text: &'a str, paths: &mut Vec<Name>) -> &'a str {
    let mut path = base.to_vec();
    loop {
        text = text.trim_start();
        if let Some(mut inside) = text.strip_prefix('{') {
            loop {
                inside = add_tree(&path, inside, paths).trim_start();
                match inside.strip_prefix(',') {
                    Some(next) => inside = next,
                    None => return inside.strip_prefix('}').unwrap_or(inside),
                }
            }
        }
        let end = text
            .find(|character: char| !(character.is_alphanumeric() || character == '_'))
            .unwrap_or(text.len());
        if end > 0 {
            path.push(text[..end].to_owned());
        }
        text = &text[end..];
        match text.strip_prefix("::") {
            Some(next) => text = next,
            None => break,
        }
    }
    let renamed = text
        .strip_prefix(" as ")
        .map(|name| name.trim_start_matches(|it: char| it.is_alphanumeric() || it == '_'));
    paths.push(path);
    renamed.unwrap_or(text)
}

/// Repeatedly removes every entry that uses no remaining one; the remainder is in a cycle or uses
/// one.
fn cycle(mut uses: BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    loop {
        let names: BTreeSet<String> = uses.keys().cloned().collect();
        let before = uses.len();
        for used in uses.values_mut() {
            used.retain(|name| names.contains(name));
        }
        uses.retain(|_, used| !used.is_empty());
        if uses.len() == before {
            return uses;
        }
    }
}

#[test]
fn modules_form_no_cycle() {
    let (mut crates, mut cycles) = (0, Vec::new());
    for manifest in files_named("Cargo.toml") {
        let source = manifest.with_file_name("src");
        if !source.is_dir() {
            continue;
        }
        crates += 1;
        for (parent, uses) in Crate::read(&source).uses() {
            let cycle = cycle(uses);
            if !cycle.is_empty() {
                cycles.push(format!(
                    "{}, below `{}`: {cycle:?}",
                    source.display(),
                    parent.join("::")
                ));
            }
        }
    }
    assert!(cycles.is_empty(), "{cycles:#?}");
    assert!(crates > 8, "all crates are looked at");
}

#[test]
fn a_cycle_is_found_and_a_tree_of_use_is_read() {
    let source =
        "use crate::{a::{self, B as C}, d};\nuse super::super::e::F;\nlet x = crate::g::h();";
    let module = ["one", "two", "three"].map(str::to_owned);
    let paths: Vec<String> =
        paths_in(source, &module).into_iter().map(|path| path.join("::")).collect();
    assert_eq!(paths, ["a::self", "a::B", "d", "g::h", "one::e::F"]);
    let uses = |pairs: &[(&str, &[&str])]| {
        let pairs = pairs.iter().map(|(one, others)| {
            (one.to_string(), others.iter().map(ToString::to_string).collect())
        });
        cycle(pairs.collect())
    };
    assert!(uses(&[("a", &["b", "c"]), ("b", &["c"])]).is_empty());
    assert_eq!(uses(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])]).len(), 3);
}
