//! The settings that no other test covers have their effect.

use std::time::{Duration, SystemTime};

use galley_tests::command_output::run;
use galley_tests::{TestStack, until};
use tokio::net::TcpListener;

use crate::starting::listens_everywhere;

#[tokio::test]
async fn a_worker_that_lives_keeps_its_health_file_fresh() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("worker");
    let file = path.to_str().expect("a path of plain characters");
    let health = async || run("galley", &["health", "--file", file], &[]).await;
    assert_eq!(health().await.code, 1, "there is no worker yet");
    let mut stack = TestStack::distributed().set("GALLEY_HEALTH_FILE", file).start().await;
    until("a fresh file", async || (health().await.code == 0).then_some(())).await;
    stack.workers.clear();
    let minute_ago = SystemTime::now() - Duration::from_mins(1);
    std::fs::File::options()
        .append(true)
        .open(&path)
        .expect("it was touched")
        .set_modified(minute_ago)
        .expect("it is ours");
    assert_eq!(health().await.code, 1, "nobody touches it any more");
}

#[tokio::test]
async fn the_command_line_waits_as_long_as_it_is_told() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("it is bound"));
    let began = std::time::Instant::now();
    let said =
        run("galley", &["meal", "list"], &[("GALLEY_URL", &url), ("GALLEY_TIMEOUT", "200ms")])
            .await;
    assert_ne!(said.code, 0, "{said:?}");
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "the default of 10 s was waited for: {said:?}"
    );
}

#[tokio::test]
async fn a_log_has_the_format_that_is_asked_for() {
    for (format, json) in [("json", true), ("auto", true), ("pretty", false)] {
        let stack =
            TestStack::embedded().set("GALLEY_LOG_FORMAT", format).gateways(0).start().await;
        let mut program = stack.launch_gateway();
        let line = program.line("INFO").await;
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&line).is_ok(),
            json,
            "{format}: {line}"
        );
    }
}

#[tokio::test]
async fn a_flag_comes_before_its_variable_and_that_before_the_default() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name);
    let url = |name: &str| format!("sqlite://{}", place(name).display());
    let named = url("variable.db");
    let variables = [("DATABASE_URL", named.as_str())];
    assert_eq!(
        run("galley", &["migrate", "--database-url", &url("flag.db")], &variables).await.code,
        0
    );
    assert_eq!((place("flag.db").exists(), place("variable.db").exists()), (true, false));
    assert_eq!(run("galley", &["migrate"], &variables).await.code, 0);
    assert!(place("variable.db").exists());
}

#[tokio::test]
async fn an_address_beyond_loopback_is_served_without_authentication_once_allowed() {
    listens_everywhere(TestStack::embedded().set("GALLEY_INSECURE_NO_AUTH", "1")).await;
}
