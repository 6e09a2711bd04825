//! The generators that people use make clients of the documents that work as they are.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use galley_tests::TestStack;
use galley_tests::program::command;

/// The path where `./test` installs the generators.
const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/generators");
/// The path of the programs that use the generated clients.
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/generated_clients");
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[tokio::test]
async fn a_client_in_python_places_an_order_and_cancels_it() {
    let stack = TestStack::embedded().delay("1h").start().await;
    let document = saved(&stack, "openapi.json").await;
    let arguments = ["generate", "--meta", "none", "--output-path", "galley_client", "--path"];
    let document = document.to_str().expect("UTF-8");
    run(&stack, &tool("bin/openapi-python-client"), &[&arguments[..], &[document]].concat()).await;
    std::fs::copy(format!("{PROGRAMS}/order.py"), stack.folder().join("order.py")).expect("copied");
    run(&stack, &tool("bin/python"), &["order.py", stack.client().base()]).await;
}

#[tokio::test]
async fn a_client_in_rust_places_an_order_and_cancels_it() {
    let stack = TestStack::embedded().delay("1h").start().await;
    let folder = generated(&stack, "rust").await;
    std::fs::create_dir(folder.join("examples")).expect("created");
    std::fs::copy(format!("{PROGRAMS}/placing_order.rs"), folder.join("examples/order.rs"))
        .expect("copied");
    // The same versions of what both use.
    std::fs::copy(format!("{WORKSPACE}/Cargo.lock"), folder.join("Cargo.lock")).expect("copied");
    let manifest = read(&folder, "Cargo.toml");
    let runtime =
        "[dev-dependencies]\ntokio = { version = \"1\", features = [\"macros\", \"rt\"] }";
    std::fs::write(folder.join("Cargo.toml"), format!("{manifest}\n{runtime}\n")).expect("written");
    let arguments =
        ["run", "--quiet", "--no-default-features", "--manifest-path", "rust/Cargo.toml"];
    let client = stack.client();
    let program = ["--example", "order", "--", client.base()];
    run(&stack, "cargo", &[&arguments[..], &program].concat()).await;
    assert!(read(&folder, "src/models/order.rs").contains("pub id: i64"));
}

#[tokio::test]
async fn clients_in_go_java_and_typescript_keep_every_digit() {
    let stack = TestStack::embedded().delay("1h").start().await;
    let go = generated(&stack, "go").await;
    let order = read(&go, "model_order.go");
    assert!(order.contains("Id int64") && order.contains("HeroId int64"), "{order}");
    assert!(read(&go, "model_meal.go").contains("Price float64"));
    assert!(!go.join("model_hero_page_items_inner.go").exists());
    assert!(read(&go, "model_hero_page.go").contains("Items []Hero "));
    let java = generated(&stack, "java").await.join("src/main/java/org/openapitools/client/model");
    let order = read(&java, "Order.java");
    assert!(order.contains("Long id;") && order.contains("Long heroId;"), "{order}");
    assert!(read(&java, "Meal.java").contains("Double price;"));
    assert!(read(&java, "HeroPage.java").contains("List<Hero> items"));
    generated(&stack, "typescript-fetch").await;
    let arguments = ["--noEmit", "--strict", "--target", "es2022", "--module", "esnext"];
    let files = ["--moduleResolution", "bundler", "typescript-fetch/index.ts"];
    run(&stack, &tool("node_modules/.bin/tsc"), &[&arguments[..], &files].concat()).await;
}

#[tokio::test]
async fn every_generated_type_of_the_frames_has_a_name() {
    let stack = TestStack::embedded().delay("1h").start().await;
    let document = saved(&stack, "asyncapi.json").await;
    let program = format!("{PROGRAMS}/frames.mjs");
    let document = document.to_str().expect("UTF-8");
    let names = run(&stack, "node", &[&program, &tool(""), document]).await;
    assert!(!names.contains("Anonymous"), "{names}");
    for name in ["PlaceCommand", "OrderFrame", "ReplyFrame", "ReplyOrderPage", "Meal", "Reason"] {
        assert!(names.lines().any(|line| line == name), "{name} in {names}");
    }
}

/// Generates a client of the `OpenAPI` document, and returns its folder.
async fn generated(stack: &TestStack, language: &str) -> PathBuf {
    let document = saved(stack, "openapi.json").await;
    let document = document.to_str().expect("UTF-8");
    let arguments = ["generate", "-g", language, "-o", language, "-i", document];
    run(stack, &tool("bin/openapi-generator-cli"), &arguments).await;
    stack.folder().join(language)
}

/// Saves a document of the gateway, and returns its path.
async fn saved(stack: &TestStack, name: &str) -> PathBuf {
    let path = stack.folder().join(name);
    let document = stack.client().get(&format!("/{name}")).await.is(200);
    std::fs::write(&path, document.to_string()).expect("written");
    path
}

/// Runs a program in the folder of the stack to its end, and returns its output.
async fn run(stack: &TestStack, program: &str, arguments: &[&str]) -> String {
    let mut command = command(program);
    let kept = ["HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"];
    command.envs(kept.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.env("CARGO_TARGET_DIR", tool("rust")).env("CARGO_PROFILE_DEV_DEBUG", "0");
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.args(arguments).current_dir(stack.folder());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
    let ended =
        ended.unwrap_or_else(|error| panic!("cannot start {program}: {error}; ./test installs it"));
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{program} {arguments:?}: {said}{errors}");
    said
}

fn tool(path: &str) -> String {
    format!("{TOOLS}/{path}")
}

fn read(folder: &Path, file: &str) -> String {
    let path = folder.join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
