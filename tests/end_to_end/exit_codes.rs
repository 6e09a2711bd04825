//! Exit codes by cause, and the problem that `--json` prints with each.

use galley_tests::command_output::{CommandOutput, run};
use galley_tests::json::{id, text};
use galley_tests::port;
use galley_tests::{StackBuilder, TestClient, TestStack, signed_token};
use serde_json::Value;

/// Runs the command as text and as JSON; expects the same exit code, one line or one problem, and
/// no data.
async fn refused(
    client: &TestClient,
    arguments: &[&str],
    code: i32,
    kind: &str,
) -> (CommandOutput, Value) {
    let people = client.galley(arguments).await;
    assert_eq!(
        (people.code, people.stdout.as_str(), people.stderr.lines().count()),
        (code, "", 1),
        "{arguments:?}: {people:?}"
    );
    assert!(people.stderr.starts_with("error: "), "{arguments:?}: {people:?}");
    let programs = client.galley(&[&["--json"], arguments].concat()).await;
    assert_eq!(
        (programs.code, programs.stdout.as_str()),
        (code, ""),
        "{arguments:?}: {programs:?}"
    );
    let problem: Value = serde_json::from_str(&programs.stderr)
        .unwrap_or_else(|error| panic!("{error}: {programs:?}"));
    assert_eq!(text(&problem, "type"), kind, "{arguments:?}");
    assert!(
        problem["title"].is_string() && problem["status"].is_u64() && problem["detail"].is_string(),
        "{problem}"
    );
    (people, problem)
}

on_both_deployments!(each_cause_has_its_exit_code_and_its_problem);
async fn each_cause_has_its_exit_code_and_its_problem(stack: StackBuilder) {
    let (mut stack, client, hero, meal) =
        stack.delay("1h").set("GALLEY_MAX_SOCKETS_PER_HERO", "1").start_with_hero_and_meal().await;
    let order = id(&client.place(hero, meal).await);
    let (hero_text, meal_text, order_text) =
        (hero.to_string(), meal.to_string(), order.to_string());
    let (hero, meal, order): (&str, &str, &str) = (&hero_text, &meal_text, &order_text);
    refused(&client, &["hero", "get", "99"], 3, "/problems/hero-not-found").await;
    refused(&client, &["order", "cancel", "99"], 3, "/problems/order-not-found").await;
    refused(
        &client,
        &["order", "place", "--hero", hero, "--meal", "99"],
        3,
        "/problems/meal-not-found",
    )
    .await;
    refused(&client, &["hero", "delete", hero], 4, "/problems/has-active-orders").await;
    refused(
        &client,
        &["order", "cancel", order, "--if-version", "9"],
        5,
        "/problems/version-mismatch",
    )
    .await;
    client
        .cancel(
            client.until_status(order_text.parse().expect("a number"), "IN_PROGRESS").await["id"]
                .as_i64()
                .expect("an id"),
        )
        .await
        .is(200);
    let (_, problem) =
        refused(&client, &["order", "cancel", order], 4, "/problems/already-finished").await;
    assert_eq!(text(&problem["order"], "status"), "CANCELLED", "the problem comes whole");
    refused(&client, &["hero", "list", "--cursor", "nonsense"], 6, "/problems/invalid-parameter")
        .await;
    client.galley(&["order", "place", "--hero", hero, "--meal", meal, "--key", "lunch"]).await;
    let other = client.create_meal("Salad", &[]).await.to_string();
    let reused = ["order", "place", "--hero", hero, "--meal", &other, "--key", "lunch"];
    refused(&client, &reused, 6, "/problems/idempotency-key-reused").await;
    let socket = client.connect(hero_text.parse().expect("a number")).await;
    refused(&client, &["watch", "--hero", hero], 8, "/problems/too-many-sockets").await;
    drop(socket);
    stack.gateways[0].program.stop().await;
    let (people, _) = refused(&client, &["hero", "list"], 9, "urn:galley:unreachable").await;
    let said =
        format!("error: cannot reach {}: connection refused; is galley running?", client.base());
    assert!(people.stderr.starts_with(&said), "{people:?}");
    refused(&client, &["watch"], 9, "urn:galley:unreachable").await;
}

#[tokio::test]
async fn who_may_not_is_told_so_by_the_exit_code() {
    let stack = TestStack::embedded().with_tokens().start().await;
    let hero = stack.staff().create_hero("Zoé", &[]).await;
    let create = ["meal", "create", "--name", "Soup", "--price", "1", "--origin-planet", "Mars"];
    refused(&stack.client(), &["hero", "list"], 7, "/problems/unauthorized").await;
    refused(&stack.hero(hero), &create, 7, "/problems/forbidden").await;
    refused(&stack.hero(hero), &["hero", "get", "99"], 3, "/problems/hero-not-found").await;
    let bad = stack.client().with_token(&signed_token::sign(
        "another secret of thirty-two bytes",
        &serde_json::json!({}),
    ));
    refused(&bad, &["order", "list"], 7, "/problems/unauthorized").await;
    refused(&bad, &["watch"], 7, "/problems/unauthorized").await;
}

#[tokio::test]
async fn too_many_requests_are_told_by_the_exit_code() {
    let stack = TestStack::embedded().set("GALLEY_REST_RATE", "1/h burst 1").start().await;
    stack.client().get("/meals").await.is(200);
    refused(&stack.client(), &["meal", "list"], 8, "/problems/rate-limited").await;
}

#[tokio::test]
async fn wrong_usage_is_a_problem_too() {
    let client = TestClient::new(&format!("http://127.0.0.1:{}", port::free()));
    for (arguments, part) in [
        (&["hero", "list", "--limit", "101"][..], "--limit"),
        (&["hero", "update", "1"], "required"),
        (&["hero"], "subcommand"),
        (&["lunch"], "lunch"),
        (&["--listen", "127.0.0.1:0", "hero", "list"], "--listen before a command is for serving"),
        (&["--url", "127.0.0.1:8080", "hero", "list"], "must begin with http://"),
        (&["hero", "list", "--url", "ftp://127.0.0.1"], "must begin with http://"),
        (&["hero", "list", "--token", "a", "--token-file", "b"], "cannot be used together"),
        (
            &["hero", "list", "--token-file", "/nowhere/token"],
            "cannot read the token file /nowhere/token",
        ),
        (&["--token", "not a token", "hero", "list"], "the token "),
        (&["--url", client.base()], "--url is for commands"),
    ] {
        let (people, problem) = refused(&client, arguments, 2, "urn:galley:usage").await;
        assert!(people.stderr.contains(part), "{arguments:?}: {people:?}");
        assert!(text(&problem, "detail").contains(part), "{arguments:?}: {problem}");
    }
}

#[tokio::test]
async fn the_help_lists_the_exit_codes() {
    let said = run("galley", &["--help"], &[]).await;
    let listed = said.stdout.split("Exit codes:").nth(1).expect("a table");
    let codes: Vec<i32> =
        listed.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    assert_eq!(codes, (0..=11).collect::<Vec<_>>());
}
