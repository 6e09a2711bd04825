//! Failing storage of the database while the service runs: callers get the reason, the log reports
//! it once, and no order is accepted that is not stored.

use std::time::{Duration, Instant};

use galley_tests::faults::disk::Disk;
use galley_tests::json::{id, text};
use galley_tests::{TestAnswer, TestClient, TestProgram, TestStack, until};
use serde_json::{Value, json};
use sqlx::Connection as _;

async fn is_ready(client: &TestClient) -> bool {
    client.get("/readyz").await.status == 200
}

/// Waits until `/readyz` reports an outage with these words.
async fn until_red(client: &TestClient, words: &str) {
    until("a gateway that says what is wrong", async || {
        let ready = client.get("/readyz").await;
        (ready.status == 503 && ready.text.contains(words)).then_some(())
    })
    .await;
}

/// Expects a refusal with these words and a `Retry-After`.
fn assert_refused(answer: TestAnswer, words: &str) {
    assert_ne!(answer.header("retry-after"), "", "{answer:?}");
    let problem = answer.problem(503, "unavailable");
    let detail = text(&problem, "detail");
    assert!(detail.contains(words) && !detail.contains('/'), "{problem}");
}

fn count(program: &TestProgram, words: &str) -> usize {
    program.log().lines().filter(|line| line.contains(words)).count()
}

#[tokio::test]
async fn a_full_disk_is_named_and_orders_are_taken_again_when_there_is_room() {
    const WORDS: &str = "the storage of the database is full";
    let disk = Disk::mount();
    let url = format!("sqlite://{}", disk.path().join("galley.db").display());
    let (stack, client, hero, meal) = TestStack::embedded()
        .delay("0s")
        .set("DATABASE_URL", &url)
        .start_with_hero_and_meal()
        .await;
    if let Err(why) = disk.fill() {
        eprintln!("not tested: {why}");
        return;
    }
    let mut accepted = Vec::new();
    let refused = until("a refusal", async || {
        let answer = client.place_call(hero, meal).await;
        if answer.status == 202 {
            accepted.push(id(&answer.json()));
            return None;
        }
        Some(answer)
    })
    .await;
    assert_refused(refused, WORDS);
    for _ in 0..50 {
        let answer = client.place_call(hero, meal).await;
        if answer.status == 202 {
            accepted.push(id(&answer.json()));
        } else {
            assert_refused(answer, WORDS);
        }
    }
    let mut socket = client.connect(hero).await;
    let problem = socket.problem(json!({"type": "place", "meal_id": meal})).await;
    assert!(text(&problem, "detail").contains(WORDS), "{problem}");
    until_red(&client, WORDS).await;
    let program = &stack.gateways[0].program;
    assert_eq!(count(program, WORDS), 1, "{}", program.log());
    assert!(
        program.log().contains("make room") && program.log().contains("galley.db"),
        "{}",
        program.log()
    );

    disk.empty();
    until("a ready gateway", async || is_ready(&client).await.then_some(())).await;
    accepted.push(id(&client.place(hero, meal).await));
    for order in accepted {
        client.until_status(order, "COMPLETED").await;
    }
    assert_eq!(count(&stack.gateways[0].program, "connected to SQLite at "), 1);
}

#[tokio::test]
async fn no_order_is_accepted_into_a_file_that_is_gone() {
    const WORDS: &str = "the file of the database is gone";
    for file in ["galley.db", "galley.db-wal"] {
        let (stack, client, hero, meal) =
            TestStack::embedded().delay("0s").start_with_hero_and_meal().await;
        let (there, elsewhere) = (stack.folder().join(file), stack.folder().join("elsewhere"));
        std::fs::rename(&there, &elsewhere).expect("it is there");
        for _ in 0..20 {
            assert_refused(client.place_call(hero, meal).await, WORDS);
        }
        assert_refused(client.post("/heroes", &json!({"name": "A", "planet": "B"})).await, WORDS);
        until_red(&client, WORDS).await;
        assert_eq!(
            count(&stack.gateways[0].program, WORDS),
            1,
            "{}",
            stack.gateways[0].program.log()
        );
        std::fs::rename(&elsewhere, &there).expect("it is back");
        until("a ready gateway", async || is_ready(&client).await.then_some(())).await;
        client.until_status(id(&client.place(hero, meal).await), "COMPLETED").await;
    }
}

#[tokio::test]
async fn a_folder_that_was_removed_is_never_written_into() {
    let (stack, client, hero, meal) = TestStack::embedded().start_with_hero_and_meal().await;
    std::fs::remove_dir_all(stack.folder()).expect("it can be removed");
    for _ in 0..20 {
        assert_refused(client.place_call(hero, meal).await, "the file of the database is gone");
    }
    until_red(&client, "the file of the database is gone").await;
}

#[tokio::test]
async fn a_database_locked_from_outside_is_refused_within_two_seconds() {
    let (stack, client, hero, meal) =
        TestStack::embedded().delay("0s").start_with_hero_and_meal().await;
    let mut other =
        sqlx::SqliteConnection::connect(stack.database_url()).await.expect("another program");
    sqlx::query("begin immediate").execute(&mut other).await.expect("the lock");
    let hero_path = format!("/heroes/{hero}");
    let writes = (0..8).map(|_| client.place_call(hero, meal)).chain([
        client.post("/heroes", &json!({"name": "A", "planet": "B"})),
        client.patch(&hero_path, &json!({"name": "C"})),
        client.delete(&hero_path),
    ]);
    let timed = writes.map(async |call| {
        let began = Instant::now();
        (call.await, began.elapsed())
    });
    for (answer, took) in futures_util::future::join_all(timed).await {
        assert!(took < Duration::from_millis(2_900), "{} took {took:?}", answer.question);
        let problem: Value = answer.problem(503, "unavailable");
        let detail = text(&problem, "detail");
        assert!(!detail.contains("is away"), "{problem}");
    }
    let began = Instant::now();
    client.get("/orders").await.is(200);
    client.get(&hero_path).await.is(200);
    client.connect(hero).await;
    assert!(began.elapsed() < Duration::from_secs(2), "reads are not held up");
    until_red(&client, "another program holds the database locked").await;
    sqlx::query("rollback").execute(&mut other).await.expect("the lock is free");
    until("a ready gateway", async || is_ready(&client).await.then_some(())).await;
    client.until_status(id(&client.place(hero, meal).await), "COMPLETED").await;
}

#[tokio::test]
async fn a_start_waits_for_a_database_that_is_locked_from_outside() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/galley.db", folder.path().display());
    let mut other =
        sqlx::SqliteConnection::connect(&format!("{url}?mode=rwc")).await.expect("another program");
    sqlx::query("begin exclusive").execute(&mut other).await.expect("the lock");
    let stack = TestStack::embedded().gateways(0).set("DATABASE_URL", &url).start().await;
    let mut program = stack.launch_gateway();
    program.line("another program holds the database locked").await;
    sqlx::query("rollback").execute(&mut other).await.expect("the lock is free");
    other.close().await.expect("it ends");
    program.line("listening on http://").await;
    program.stop().await;
}

#[tokio::test]
async fn postgres_without_room_or_without_writing_is_named() {
    let (stack, client, hero, meal) =
        TestStack::distributed().delay("0s").start_with_hero_and_meal().await;
    let mut admin = sqlx::PgConnection::connect(stack.database_url()).await.expect("the database");
    for (code, words) in
        [("53100", "the storage of the database is full"), ("25006", "the database is read-only")]
    {
        let refuse = format!(
            "create or replace function refuse() returns trigger language plpgsql as
             $$ begin raise exception 'no' using errcode = '{code}'; end $$"
        );
        sqlx::query(sqlx::AssertSqlSafe(refuse)).execute(&mut admin).await.expect("a function");
        for table in ["orders", "watermark"] {
            let trigger = format!(
                "create trigger refuse before insert or update on {table} execute function refuse()"
            );
            sqlx::query(sqlx::AssertSqlSafe(trigger)).execute(&mut admin).await.expect("a trigger");
        }
        assert_refused(client.place_call(hero, meal).await, words);
        until_red(&client, words).await;
        assert_eq!(
            count(&stack.gateways[0].program, words),
            1,
            "{}",
            stack.gateways[0].program.log()
        );
        for table in ["orders", "watermark"] {
            let drop = format!("drop trigger refuse on {table}");
            sqlx::query(sqlx::AssertSqlSafe(drop)).execute(&mut admin).await.expect("no trigger");
        }
        until("a ready gateway", async || is_ready(&client).await.then_some(())).await;
        client.until_status(id(&client.place(hero, meal).await), "COMPLETED").await;
    }
}
