//! The command line works against a running gateway.

use std::process::Stdio;

use galley_tests::json::{id, list, text, version};
use galley_tests::patience::within;
use galley_tests::program::{Signal, command, path_of};
use galley_tests::{StackBuilder, TestProgram, TestStack};
use serde_json::Value;

on_both_deployments!(heroes_and_meals_are_managed);
async fn heroes_and_meals_are_managed(stack: StackBuilder) {
    let stack = stack.start().await;
    let client = stack.client();
    let create = [
        "hero",
        "create",
        "--name",
        "Zoé",
        "--planet",
        "Mars",
        "--allergy",
        "nut",
        "--allergy",
        "egg",
    ];
    let hero = client.galley_json(&create).await;
    assert_eq!((text(&hero, "name"), list(&hero, "allergies").len()), ("Zoé", 2));
    let number = id(&hero).to_string();
    assert_eq!(client.galley_json(&["hero", "get", &number]).await, hero);
    let update =
        ["hero", "update", &number, "--planet", "Venus", "--no-allergies", "--if-version", "1"];
    let changed = client.galley_json(&update).await;
    assert_eq!(
        (text(&changed, "planet"), list(&changed, "allergies").len(), version(&changed)),
        ("Venus", 0, 2)
    );
    let listed = client.galley_json(&["hero", "list", "--query", "zoe"]).await;
    assert_eq!(list(&listed, "items"), [changed]);
    let table = client.galley(&["hero", "list"]).await;
    assert!(table.stdout.contains("Zoé") && table.stdout.contains("Venus"), "{table:?}");

    let create = [
        "meal",
        "create",
        "--name",
        "Soup",
        "--price",
        "9.99",
        "--origin-planet",
        "Earth",
        "--ingredient",
        "salt",
    ];
    let meal = client.galley_json(&create).await;
    assert_eq!((text(&meal, "name"), &meal["price"]), ("Soup", &serde_json::json!(9.99)));
    let meal = id(&meal).to_string();
    assert_eq!(client.galley_json(&["meal", "update", &meal, "--price", "10"]).await["price"], 10);
    assert_eq!(list(&client.galley_json(&["meal", "list"]).await, "items").len(), 1);
    assert_eq!(client.galley_json(&["meal", "delete", &meal]).await, Value::Null);
    assert_eq!(client.galley_json(&["hero", "delete", &number]).await, Value::Null);
    assert!(client.all("/heroes").await.is_empty() && client.all("/meals").await.is_empty());
}

on_both_deployments!(orders_are_placed_cancelled_and_deleted);
async fn orders_are_placed_cancelled_and_deleted(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("1h").start_with_hero_and_meal().await;
    let (hero, meal) = (hero.to_string(), meal.to_string());
    let place = ["order", "place", "--hero", &hero, "--meal", &meal, "--key", "lunch"];
    let order = client.galley_json(&place).await;
    assert_eq!(text(&order, "status"), "PENDING");
    assert_eq!(id(&client.galley_json(&place).await), id(&order));
    let number = id(&order).to_string();
    client.until_status(id(&order), "IN_PROGRESS").await;
    let shown = client.galley(&["order", "get", &number]).await;
    assert!(shown.stdout.contains("IN_PROGRESS") && shown.stdout.contains("Zoé"), "{shown:?}");
    let cancelled =
        client.galley_json(&["order", "cancel", &number, "--reason", "changed my mind"]).await;
    assert_eq!(
        (text(&cancelled, "status"), text(&cancelled, "message")),
        ("CANCELLED", "changed my mind")
    );
    let listed =
        client.galley_json(&["order", "list", "--hero", &hero, "--status", "cancelled"]).await;
    assert_eq!(list(&listed, "items").len(), 1);
    let stale = client.galley(&["order", "delete", &number, "--if-version", "1"]).await;
    assert_eq!((stale.code, stale.stdout.as_str()), (5, ""), "{stale:?}");
    let deleted = client.galley(&["order", "delete", &number]).await;
    assert_eq!((deleted.code, deleted.stdout), (0, format!("order {number} is deleted\n")));
    assert!(client.all("/orders").await.is_empty());
}

on_both_deployments!(what_is_refused_is_one_line);
async fn what_is_refused_is_one_line(stack: StackBuilder) {
    let mut stack = stack.start().await;
    let client = stack.client();
    for (arguments, code, part) in [
        (&["hero", "get", "1"][..], 3, "there is no hero 1"),
        (&["meal", "delete", "7"], 3, "there is no meal 7"),
        (&["order", "place", "--hero", "1", "--meal", "1"], 3, "there is no hero 1"),
        (&["order", "cancel", "1"], 3, "there is no order 1"),
        (&["watch", "--hero", "1"], 3, "there is no hero 1"),
        (&["hero", "get", "0"], 2, "must be an integer from 1"),
        (&["hero", "create", "--name", " ", "--planet", "x"], 2, "must not be empty"),
        (&["hero", "list", "--limit", "101"], 2, "--limit"),
        (&["hero", "update", "1"], 2, "required"),
    ] {
        let said = client.galley(arguments).await;
        assert_eq!(
            (said.code, said.stdout.as_str(), said.stderr.lines().count()),
            (code, "", 1),
            "{arguments:?}: {said:?}"
        );
        assert!(said.stderr.contains(part), "{arguments:?}: {said:?}");
    }
    assert_eq!(client.galley(&["health"]).await.code, 0);
    stack.gateways[0].program.stop().await;
    assert_eq!(client.galley(&["health"]).await.code, 1, "a health check knows 0 and 1 alone");
}

on_both_deployments!(the_feed_is_watched);
async fn the_feed_is_watched(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("0s").start_with_hero_and_meal().await;
    let hero_number = hero.to_string();
    let watch = |arguments: &[&str]| {
        let mut command = command(path_of("galley"));
        TestProgram::start(
            "galley watch",
            command
                .env("GALLEY_URL", client.base())
                .arg("watch")
                .args(arguments)
                .stdin(Stdio::null()),
        )
    };
    let mut watchers =
        [watch(&[]), watch(&["--hero", &hero_number]), watch(&["--hero", &hero_number, "--json"])];
    let [staff, own, json] = &mut watchers;
    staff.line("watching the orders of every hero").await;
    own.line("watching the orders of Zoé").await;
    json.line(r#""type":"welcome""#).await;
    let order = id(&client.place(hero, meal).await);
    staff.line(&format!("order {order} v3")).await;
    for (number, status) in (1..).zip(["PENDING", "IN_PROGRESS", "COMPLETED"]) {
        let line = own.line(&format!("order {order} v{number}")).await;
        assert!(line.ends_with(status), "{line}");
        let line = json.line(&format!(r#""status":"{status}""#)).await;
        let frame: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!((id(&frame["order"]), version(&frame["order"])), (order, number));
    }
    own.signal(Signal::INT);
    own.exit().await;
}

#[tokio::test]
async fn completions_are_printed_for_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let said = galley_tests::command_output::run("galley", &["completions", shell], &[]).await;
        assert_eq!((said.code, said.stderr.as_str()), (0, ""));
        assert!(said.stdout.contains("galley") && said.stdout.contains("migrate"), "{shell}");
    }
}

#[tokio::test]
async fn output_that_nobody_reads_is_no_failure() {
    let stack = TestStack::embedded().seeded().start().await;
    let galley = path_of("galley");
    let galley = galley.display();
    for script in [
        format!("for i in 1 2 3; do {galley} meal list; done | head -n 1"),
        format!("{galley} meal list --all --limit 1 | head -n 1"),
        format!("{galley} --help | true"),
        format!("{galley} completions bash | true"),
        format!("{galley} hero get 99 2>&1 | true"),
    ] {
        let mut shell = tokio::process::Command::from(command("bash"));
        let output = shell
            .args(["-c", &script])
            .env("GALLEY_URL", stack.client().base())
            .output()
            .await
            .expect("bash can be run");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{script}");
    }
}

#[tokio::test]
async fn watching_ends_when_nobody_reads_any_more() {
    let (_stack, client, hero, meal) =
        TestStack::embedded().delay("1h").start_with_hero_and_meal().await;
    client.place(hero, meal).await;
    for arguments in [format!("--hero {hero}"), "--json".to_owned()] {
        let mut shell = tokio::process::Command::from(command("bash"));
        // The only line comes with the welcome.
        let script = format!(
            "set -o pipefail; {} watch {arguments} | head -n 1",
            path_of("galley").display()
        );
        let shell = shell.args(["-c", &script]).env("GALLEY_URL", client.base()).kill_on_drop(true);
        let output =
            within("the end of galley watch", shell.output()).await.expect("bash can be run");
        let shown = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            (output.status.code(), shown.lines().count()),
            (Some(0), 1),
            "{arguments}: {output:?}"
        );
    }
}

#[tokio::test]
async fn a_watcher_of_a_status_is_told_of_nothing_else() {
    let stack = TestStack::embedded().delay("0s").start().await;
    let client = stack.client();
    let soup = client.create_meal("Soup", &["nut"]).await;
    let (nova, zoe) =
        (client.create_hero("Nova", &[]).await, client.create_hero("Zoé", &["nut"]).await);
    let mut command = command(path_of("galley"));
    let command = command
        .env("GALLEY_URL", client.base())
        .args(["watch", "--status", "cancelled"])
        .stdin(Stdio::null());
    let mut watcher = TestProgram::start("galley watch", command);
    watcher.line("watching the orders of every hero (CANCELLED)").await;
    client.place_until(nova, soup, "COMPLETED").await;
    let cancelled = id(&client.place(zoe, soup).await);
    watcher.line(&format!("order {cancelled} v3")).await;
    assert!(!watcher.log().contains("COMPLETED"), "{}", watcher.log());
}

#[tokio::test]
async fn a_hero_with_a_token_watches_its_own_orders_without_being_named() {
    let stack = TestStack::embedded().with_tokens().delay("1h").start().await;
    let (hero, meal) = stack.staff().create_hero_and_meal().await;
    let client = stack.hero(hero);
    let start = |arguments: &[&str]| {
        let mut command = command(path_of("galley"));
        let token = client.token().expect("a token");
        let command = command
            .env("GALLEY_URL", client.base())
            .env("GALLEY_TOKEN", token)
            .arg("watch")
            .args(arguments);
        TestProgram::start("galley watch", command.stdin(Stdio::null()))
    };
    let mut watcher = start(&[]);
    watcher.line("watching the orders of Zoé").await;
    let order = id(&client.place(hero, meal).await);
    watcher.line(&format!("order {order} v1")).await;
    let mut refused = start(&["--status", "pending"]);
    refused.line("error: --status is for staff").await;
    assert_eq!(refused.exit().await.code(), Some(7));
}
