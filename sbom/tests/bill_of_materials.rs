//! The bill of materials has every crate of the programs, and none of the tests alone.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

#[test]
fn the_bill_names_what_is_linked_and_nothing_else() {
    let output = Command::new(env!("CARGO_BIN_EXE_galley-sbom")).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bill: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.6".into()));
    let components = bill["components"].as_array().expect("components");
    let references: BTreeSet<&str> =
        components.iter().map(|one| one["bom-ref"].as_str().expect("a reference")).collect();
    assert_eq!(references.len(), components.len(), "each is there once");
    for component in components {
        let name = component["name"].as_str().expect("a name");
        assert_eq!(component["purl"], component["bom-ref"], "{component}");
        assert!(component["licenses"][0]["expression"].is_string(), "{component}");
        let is_own = name.starts_with("galley");
        let hash = component["hashes"][0]["content"].as_str().unwrap_or_default();
        assert!(is_own || hash.len() == 64, "{component}");
    }
    let names: BTreeSet<&str> =
        components.iter().map(|one| one["name"].as_str().expect("a name")).collect();
    for linked in ["galley", "galley-gateway", "galley-worker", "tokio", "sqlx", "rustls", "hmac"] {
        assert!(names.contains(linked), "{linked}");
    }
    for other in ["galley-tests", "galley-sbom", "stateright", "vt100", "proptest"] {
        assert!(!names.contains(other), "{other}");
    }
    for dependency in bill["dependencies"].as_array().expect("dependencies") {
        let used = dependency["dependsOn"].as_array().expect("a list");
        for reference in used.iter().chain([&dependency["ref"]]) {
            assert!(references.contains(reference.as_str().expect("text")), "{reference}");
        }
    }
}
