//! Writes the bill of materials of the programs (`CycloneDX` 1.6, JSON) to standard output: each
//! crate that is linked into one of them, with its version, licence, the hash of its source, and
//! what it depends on. Must be run within the project; it asks `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Write as _, stdout};
use std::process::{Command, ExitCode};

use serde_json::{Value, json};

/// The programs that are shipped.
const PROGRAMS: [&str; 4] = ["galley", "galley-gateway", "galley-worker", "galley-load"];

fn main() -> ExitCode {
    match bill() {
        Ok(bill) => {
            let text = format!("{bill:#}\n");
            let written = stdout().write_all(text.as_bytes());
            if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn bill() -> Result<Value, String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let host = run("rustc", &["-vV"])?;
    let host = host.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or("rustc names no host")?;
    let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", host];
    let metadata: Value = serde_json::from_str(&run(&cargo, &arguments)?)
        .map_err(|error| format!("the answer of cargo: {error}"))?;
    let root = metadata["workspace_root"].as_str().unwrap_or_default();
    let lock = std::fs::read_to_string(format!("{root}/Cargo.lock"))
        .map_err(|error| format!("Cargo.lock: {error}"))?;
    let packages: BTreeMap<&str, &Value> =
        list(&metadata["packages"]).map(|package| (text(package, "id"), package)).collect();
    let edges: BTreeMap<&str, Vec<&str>> = list(&metadata["resolve"]["nodes"])
        .map(|node| (text(node, "id"), linked(node).collect()))
        .collect();

    let is_program = |package: &&Value| PROGRAMS.contains(&text(package, "name"));
    let mut open: Vec<&str> = packages
        .values()
        .filter(|package| is_program(package))
        .map(|one| text(one, "id"))
        .collect();
    let mut used = BTreeSet::new();
    while let Some(id) = open.pop() {
        if used.insert(id) {
            open.extend(&edges[id]);
        }
    }
    let of = |id: &&str| reference(packages[id]);
    let components: Vec<Value> =
        used.iter().map(|id| component(packages[id], &hashes(&lock))).collect();
    let dependencies: Vec<Value> = used
        .iter()
        .map(|id| json!({"ref": of(id), "dependsOn": edges[id].iter().map(of).collect::<Vec<_>>()}))
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "galley", "version": version}},
        "components": components,
        "dependencies": dependencies,
    }))
}

fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("{program}: {error}"))
}

/// The packages that a package is linked with. Others only build or test it.
fn linked(node: &Value) -> impl Iterator<Item = &str> {
    list(&node["deps"])
        .filter(|edge| list(&edge["dep_kinds"]).any(|kind| kind["kind"].is_null()))
        .map(|edge| text(edge, "pkg"))
}

fn component(package: &Value, hashes: &BTreeMap<(String, String), String>) -> Value {
    let (name, version) = (text(package, "name"), text(package, "version"));
    let kind = if PROGRAMS.contains(&name) { "application" } else { "library" };
    let mut component = json!({
        "type": kind,
        "bom-ref": reference(package),
        "name": name,
        "version": version,
        "purl": reference(package),
    });
    if let Some(licence) = package["license"].as_str() {
        // Cargo also accepts the slash of old manifests.
        component["licenses"] = json!([{"expression": licence.replace('/', " OR ")}]);
    }
    if let Some(hash) = hashes.get(&(name.to_owned(), version.to_owned())) {
        component["hashes"] = json!([{"alg": "SHA-256", "content": hash}]);
    }
    component
}

fn reference(package: &Value) -> String {
    format!("pkg:cargo/{}@{}", text(package, "name"), text(package, "version"))
}

/// Reads the hash of each crate, by name and version.
fn hashes(lock: &str) -> BTreeMap<(String, String), String> {
    let field = |entry: &str, name: &str| {
        let mut lines = entry.lines().filter_map(|line| line.split_once(" = "));
        lines.find(|(found, _)| *found == name).map(|(_, value)| value.trim_matches('"').to_owned())
    };
    let entries = lock.split("[[package]]").skip(1).filter_map(|entry| {
        Some(((field(entry, "name")?, field(entry, "version")?), field(entry, "checksum")?))
    });
    entries.collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}
