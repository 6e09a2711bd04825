//! The `OpenAPI` document is correct: Schemathesis generates valid and invalid requests from the
//! document, and checks that each answer is documented – status, headers, media type, schema – and
//! that invalid requests are refused.
//!
//! The event streams are left out because they do not end.

use std::path::Path;
use std::process::Stdio;

use galley_tests::program::command;
use galley_tests::{StackBuilder, test_stack::Deployment};

/// The path where `./test` installs Schemathesis; another one may be on the search path.
const INSTALLED: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/schemathesis/bin/schemathesis");
/// The settings that are not in the document.
const SETTINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schemathesis/settings.toml");
const HOOKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schemathesis/hooks.py");
/// The number of requests per operation, and of sequences of operations. A number and not a time,
/// because on a busy machine a time would be over before all kinds of requests were made.
const EXAMPLES: &str = "100";
/// The seed, for the same requests each time, except those that depend on answers.
const SEED: &str = "9457";

on_both_deployments!(every_answer_is_as_the_document_says);
async fn every_answer_is_as_the_document_says(stack: StackBuilder) {
    let stack = if stack.deployment == Deployment::Embedded { stack.seeded() } else { stack };
    let stack = stack.delay("0s").start().await;
    let client = stack.client();
    // Rows to find under the first ids.
    let (hero, meal) = client.create_hero_and_meal().await;
    client.place(hero, meal).await;
    let program = if Path::new(INSTALLED).exists() { INSTALLED } else { "schemathesis" };
    let mut schemathesis = command(program);
    schemathesis
        .current_dir(stack.folder())
        .env("SCHEMATHESIS_HOOKS", HOOKS)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    schemathesis.args([
        "--config-file",
        SETTINGS,
        "run",
        &format!("{}/openapi.json", client.base()),
    ]);
    schemathesis.args([
        "--seed",
        SEED,
        "--max-examples",
        EXAMPLES,
        "--generation-database",
        "none",
    ]);
    schemathesis.args(["--exclude-path-regex", "/events$", "--workers", "1", "--no-color"]);
    let ended = tokio::task::spawn_blocking(move || schemathesis.output()).await.expect("no panic");
    let ended =
        ended.unwrap_or_else(|error| panic!("cannot start {program}: {error}; ./test installs it"));
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{said}{}", String::from_utf8_lossy(&ended.stderr));
    client.get("/readyz").await.is(200);
}
