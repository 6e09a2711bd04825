//! Cursors are accepted or start over correctly, whatever happened to the service meanwhile.

use std::process::Command;

use galley_tests::command_output::run;
use galley_tests::json::{id, list, text, version};
use galley_tests::test_database::TestDatabase;
use galley_tests::{StackBuilder, TestClient, TestStack};
use serde_json::Value;

/// The ids and versions of the orders in a welcome.
fn told(welcome: &Value) -> Vec<(i64, i64)> {
    list(welcome, "orders").iter().map(|order| (id(order), version(order))).collect()
}

/// Cursors that this service did not sign.
fn unreadable(good: &str) -> Vec<String> {
    let (beginning, end) = good.split_at(good.len() / 2);
    let forged =
        format!("{beginning}{}{}", if end.starts_with('A') { 'B' } else { 'A' }, &end[1..]);
    let mut texts = vec![forged, format!("{good}A"), good.to_lowercase(), good[1..].to_owned()];
    texts.extend(
        ["", "r1a2b3c.7", "7", "null", "%00", "%C3%A9", "1700000000000-0"].map(str::to_owned),
    );
    texts.push("A".repeat(4_000));
    texts
}

on_both_deployments!(a_cursor_that_cannot_be_read_begins_anew_and_is_never_refused);
async fn a_cursor_that_cannot_be_read_begins_anew_and_is_never_refused(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("1h").start_with_hero_and_meal().await;
    let order = client.place_until(hero, meal, "IN_PROGRESS").await;
    let good = text(&client.connect(hero).await.welcome, "cursor").to_owned();
    let path = format!("/heroes/{hero}/events");
    for cursor in unreadable(&good) {
        let socket = client.connect_with(&format!("?hero_id={hero}&cursor={cursor}")).await;
        let streams = [
            client.get(&format!("{path}?cursor={cursor}")).listen().await,
            client.get(&path).header("Last-Event-ID", &cursor).listen().await,
            client
                .get(&format!("{path}?cursor={good}"))
                .header("Last-Event-ID", &cursor)
                .listen()
                .await,
        ];
        let streams = streams
            .map(|stream| stream.unwrap_or_else(|answer| panic!("{cursor}: {answer:?}")).welcome);
        for welcome in streams.iter().chain([&socket.welcome]) {
            assert_eq!(
                (text(welcome, "resume"), told(welcome)),
                ("resynced", vec![(order, 2)]),
                "{cursor}"
            );
        }
    }
    for cursor in ["", "r1a2b3c.7", &good[1..]] {
        for call in [
            client.get(&format!("/events?cursor={cursor}")),
            client.get("/events").header("Last-Event-ID", cursor),
        ] {
            let events =
                call.listen().await.unwrap_or_else(|answer| panic!("{cursor}: {answer:?}"));
            assert_eq!(text(&events.welcome, "resume"), "resynced", "{cursor}");
        }
    }
    assert_eq!(text(&client.resume(hero, &good).await.welcome, "resume"), "resumed");
}

on_both_deployments!(a_cursor_outlives_every_process);
async fn a_cursor_outlives_every_process(stack: StackBuilder) {
    let (mut stack, client, hero, meal) = stack.delay("1h").start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    let [kept, cancelled] =
        [id(&client.place(hero, meal).await), id(&client.place(hero, meal).await)];
    let welcomed = text(&socket.welcome, "cursor").to_owned();
    let told_last = text(&socket.until_type("order").await, "cursor").to_owned();
    let workers = stack.workers.len();
    for mut program in
        stack.workers.drain(..).chain(stack.gateways.drain(..).map(|gateway| gateway.program))
    {
        program.kill();
    }
    let client = stack.start_gateway().await;
    client.cancel(cancelled).await.is(200);
    for cursor in [welcomed, told_last] {
        let welcome = client.resume(hero, &cursor).await.welcome;
        assert_eq!(text(&welcome, "resume"), "resumed");
        let told: Vec<i64> = told(&welcome).into_iter().map(|(id, _)| id).collect();
        assert_eq!(told, [kept, cancelled]);
    }
    (0..workers).for_each(|_| stack.start_worker());
}

/// A hero with an active order that a copy of the database holds, and a cursor from after the copy.
struct Restored {
    hero: i64,
    active: i64,
    cursors: Vec<String>,
}

impl Restored {
    /// Creates the hero and the order; `copy` copies the database halfway.
    async fn scene(client: &TestClient, copy: impl AsyncFnOnce()) -> Self {
        let (hero, meal) = client.create_hero_and_meal().await;
        let mut socket = client.connect(hero).await;
        let active = client.place_until(hero, meal, "IN_PROGRESS").await;
        copy().await;
        let later = id(&client.place(hero, meal).await);
        client.cancel(active).await.is(200);
        let mut cursors = vec![text(&socket.welcome, "cursor").to_owned()];
        socket.until_status(later, "IN_PROGRESS").await;
        cursors.push(text(&client.connect(hero).await.welcome, "cursor").to_owned());
        Self { hero, active, cursors }
    }

    /// Expects that every cursor starts over and the client sees the order of the copy.
    async fn begins_anew(&self, client: &TestClient) {
        for cursor in &self.cursors {
            let welcome = client.resume(self.hero, cursor).await.welcome;
            assert_eq!(
                (text(&welcome, "resume"), told(&welcome)),
                ("resynced", vec![(self.active, 2)])
            );
        }
    }
}

#[tokio::test]
async fn a_restored_backup_begins_anew() {
    let mut stack = TestStack::embedded().delay("1h").start().await;
    let client = stack.client();
    let backup = stack.folder().join("backup.db");
    let scene = Restored::scene(&client, async || {
        let taken = run(
            "galley",
            &["backup", &backup.display().to_string()],
            &[("DATABASE_URL", stack.database_url())],
        )
        .await;
        assert_eq!(taken.code, 0, "{taken:?}");
    })
    .await;
    stack.gateways.pop().expect("it runs").program.kill();
    for part in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(stack.folder().join(format!("galley.db{part}")));
    }
    std::fs::copy(&backup, stack.folder().join("galley.db")).expect("the backup is restored");
    scene.begins_anew(&stack.start_gateway().await).await;
}

#[tokio::test]
async fn a_dump_that_is_restored_into_another_database_begins_anew() {
    let mut stack = TestStack::distributed().delay("1h").start().await;
    let client = stack.client();
    let restored = TestDatabase::empty().await;
    let dump = stack.folder().join("dump.sql").display().to_string();
    let tool = |name: &str, arguments: &[&str]| {
        let done = Command::new(name)
            .args(arguments)
            .output()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
    };
    let scene = Restored::scene(&client, async || {
        tool("pg_dump", &["--file", &dump, stack.database_url()]);
    })
    .await;
    for mut program in
        stack.workers.drain(..).chain(stack.gateways.drain(..).map(|gateway| gateway.program))
    {
        program.kill();
    }
    tool("psql", &["--quiet", "--set", "ON_ERROR_STOP=1", "--file", &dump, &restored.url]);
    stack.set("DATABASE_URL", &restored.url);
    scene.begins_anew(&stack.start_gateway().await).await;
}
