//! What the README says can be typed, can be typed.

use galley_tests::database::Database;
use galley_tests::namespace::{Namespace, shared_redis};
use galley_tests::program::{Signal, command, path_of};
use galley_tests::readme::{ADDRESS, sections};
use galley_tests::terminal::search_path;
use galley_tests::wire::check_frame;
use galley_tests::{Client, Program, Stack, within};

fn readme() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What `cargo run` starts is the program `galley` without arguments, in a folder where it finds nothing.
#[tokio::test]
async fn without_arguments_it_serves_a_dashboard_and_a_demo_menu() {
    assert!(readme().contains("cargo run --release"));
    let folder = tempfile::tempdir().expect("a folder");
    let mut galley = command(path_of("galley"));
    let mut program = Program::start("galley", galley.current_dir(folder.path()).env("GALLEY_LISTEN", "127.0.0.1:0"));
    let client = client_of(&mut program).await;
    let page = client.get("/").await;
    assert_eq!((page.status, page.text.contains("<title>Galley</title>")), (200, true));
    assert!(client.get("/meals").await.json()["items"].as_array().is_some_and(|meals| meals.len() > 9));
    program.stop().await;
    assert!(folder.path().join(".galley/galley.db").exists());
}

#[tokio::test]
async fn the_programs_can_be_started_as_the_readme_says() {
    let (database, namespace) = (Database::empty().await, Namespace::fresh(&shared_redis()));
    let [section] = sections(&readme(), "sh distributed").try_into().expect("one block starts the programs");
    let script = section.script.replace("postgres://galley:secret@127.0.0.1/galley", &database.url);
    let script = script.replace("redis://127.0.0.1", &shared_redis()) + "wait\n";
    let folder = path_of("galley").parent().expect("it lies in a folder").display().to_string();
    // `timeout` passes the signal on to all that the script started.
    let mut shell = command("timeout");
    shell.args(["120", "bash", "-euo", "pipefail", "-c", &script]);
    shell.env("PATH", format!("{folder}:{}", std::env::var("PATH").unwrap_or_default()));
    shell.env("GALLEY_LISTEN", "127.0.0.1:0").env("GALLEY_NAMESPACE", &namespace.name).env("GALLEY_PROCESSING_DELAY", "0s");
    let mut program = Program::start("the README's commands", &mut shell);
    let client = client_of(&mut program).await;
    let (hero, meal) = client.create_hero_and_meal().await;
    let order = client.place(hero, meal).await;
    client.until_status(order["id"].as_i64().expect("an id"), "COMPLETED").await;
    program.signal(Signal::TERM);
    program.exit().await;
}

async fn client_of(program: &mut Program) -> Client {
    let line = program.line("listening on http://").await;
    let (_, address) = line.split_once("listening on ").expect("the line contains it");
    Client::new(address.split('"').next().unwrap_or_default())
}

#[tokio::test]
async fn every_command_of_the_readme_works() {
    let sections = sections(&readme(), "sh");
    assert!(!sections.is_empty(), "the README has no commands to run");
    let stack = Stack::embedded().seeded().start().await;
    let client = stack.client();
    let galley = path_of("galley");
    let programs = galley.parent().expect("it lies in a folder").display().to_string();
    let search = format!("{programs}:{}", search_path(stack.folder()));
    let mut failures = Vec::new();
    for section in sections {
        let script = section.script.replace(ADDRESS, client.base());
        let script = script.replace(&ADDRESS.replace("http", "ws"), &client.socket_url("").replace("/ws", ""));
        let mut shell = tokio::process::Command::from(command("bash"));
        shell.args(["-euo", "pipefail", "-c", &script]).current_dir(stack.folder()).kill_on_drop(true);
        shell.env("PATH", &search).env("GALLEY", &galley).env("GALLEY_URL", client.base());
        let output = within(&section.heading, shell.output()).await.expect("bash can be run");
        let said = String::from_utf8_lossy(&output.stdout);
        let frames = said.lines().filter(|line| line.starts_with(r#"{"type":""#));
        frames.for_each(|frame| check_frame(&serde_json::from_str(frame).unwrap_or_else(|error| panic!("{error}: {frame}"))));
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            failures.push(format!("{}: {}\n{script}\n{said}", section.heading, output.status));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
