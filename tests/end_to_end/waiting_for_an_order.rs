//! `galley order place --wait` waits for the end of the order.

use std::process::Stdio;

use galley_tests::json::{id, text};
use galley_tests::program::{command, path_of};
use galley_tests::{StackBuilder, TestClient, TestProgram, TestStack};
use serde_json::Value;

fn statuses(lines: &str) -> Vec<String> {
    let parse =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    lines.lines().map(|line| text(&parse(line), "status").to_owned()).collect()
}

fn place(client: &TestClient, hero: i64, meal: i64, arguments: &[&str]) -> TestProgram {
    let mut command = command(path_of("galley"));
    command.env("GALLEY_URL", client.base()).args([
        "order",
        "place",
        "--hero",
        &hero.to_string(),
        "--meal",
        &meal.to_string(),
    ]);
    TestProgram::start(
        "galley order place --wait",
        command.arg("--wait").args(arguments).stdin(Stdio::null()),
    )
}

on_both_deployments!(the_end_of_an_order_is_waited_for);
async fn the_end_of_an_order_is_waited_for(stack: StackBuilder) {
    let stack = stack.delay("200ms").start().await;
    let client = stack.client();
    client.create_meal("Peanut soup", &["peanut"]).await;
    client.create_hero("Nova", &[]).await;
    let zoe = client.create_hero("Zoé", &["peanut"]).await;
    let order = ["order", "place", "--hero", "Nova", "--meal", "Peanut soup", "--wait"];
    let said = client.galley(&[&order[..], &["--json"]].concat()).await;
    assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{said:?}");
    let seen = statuses(&said.stdout);
    // A repaired socket may receive only the newest state.
    assert_eq!(
        (seen.first().map(String::as_str), seen.last().map(String::as_str)),
        (Some("PENDING"), Some("COMPLETED"))
    );
    let said = client.galley(&order).await;
    assert_eq!(
        (said.code, said.stdout.lines().next().map(|line| line.ends_with("PENDING"))),
        (0, Some(true)),
        "{said:?}"
    );
    assert!(said.stdout.lines().last().is_some_and(|line| line.ends_with("COMPLETED")), "{said:?}");
    let said = client
        .galley(&[
            "--json",
            "order",
            "place",
            "--hero",
            &zoe.to_string(),
            "--meal",
            "soup",
            "--wait",
        ])
        .await;
    assert_eq!((said.code, said.stderr.as_str()), (10, ""), "{said:?}");
    assert_eq!(statuses(&said.stdout).last().map(String::as_str), Some("CANCELLED"));
}

#[tokio::test]
async fn waiting_ends_when_its_time_is_over() {
    let stack = TestStack::embedded().delay("1h").start().await;
    let client = stack.client();
    client.create_hero_and_meal().await;
    let said = client
        .galley(&[
            "order",
            "place",
            "--hero",
            "zoe",
            "--meal",
            "soup",
            "--wait",
            "--timeout",
            "1s",
            "--json",
        ])
        .await;
    assert_eq!(said.code, 11, "{said:?}");
    let problem: Value = serde_json::from_str(&said.stderr).expect("a problem");
    assert_eq!(
        (text(&problem, "type"), text(&problem["order"], "status")),
        ("urn:galley:timed-out", "IN_PROGRESS")
    );
}

#[tokio::test]
async fn waiting_outlives_a_lost_connection() {
    let stack = TestStack::embedded().delay("1h").start().await;
    let (proxy, proxied) = stack.proxied().await;
    let (hero, meal) = stack.client().create_hero_and_meal().await;
    let mut waiting = place(&proxied, hero, meal, &[]);
    waiting.line("IN_PROGRESS").await;
    let orders = stack.client().all("/orders").await;
    proxy.cut();
    stack.client().cancel(id(&orders[0])).await.is(200);
    waiting.line("CANCELLED").await;
    assert_eq!(waiting.exit().await.code(), Some(10));
}

#[tokio::test]
async fn a_hero_with_a_token_may_wait_and_so_may_staff() {
    let stack = TestStack::embedded().with_tokens().delay("0s").start().await;
    let (hero, _) = stack.staff().create_hero_and_meal().await;
    let order = ["order", "place", "--hero", "zoe", "--meal", "soup", "--wait", "--json"];
    for client in [stack.staff(), stack.hero(hero)] {
        let said = client.galley(&order).await;
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{said:?}");
        assert_eq!(statuses(&said.stdout).last().map(String::as_str), Some("COMPLETED"));
    }
}
