//! While the database refuses changes or hangs, no order is placed, `/readyz` reports it, and no
//! requests or connections pile up.

use std::time::{Duration, Instant};

use galley_tests::json::{id, text};
use galley_tests::{PostgresServer, Proxy, TestClient, TestStack, until};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

/// The connections of one process at most.
const CONNECTIONS: i64 = 8;

/// Waits until `/readyz` reports with these words that the service cannot place orders.
async fn until_red(client: &TestClient, words: &str) {
    until("a gateway that is not ready", async || {
        let ready = client.get("/readyz").await;
        let report = ready.json();
        let detail = report["dependencies"][0]["detail"].as_str().unwrap_or_default().to_owned();
        (ready.status == 503 && detail.contains(words))
            .then(|| assert_eq!(text(&report, "status"), "unavailable"))
    })
    .await;
}

async fn until_green(client: &TestClient) {
    until("a ready gateway", async || {
        Some(client.get("/readyz").await).filter(|ready| ready.status == 200)
    })
    .await;
}

#[tokio::test]
async fn a_name_that_led_to_a_standby_is_resolved_anew() {
    let primary = PostgresServer::start().await;
    let standby = primary.standby(primary.port).await;
    let name = Proxy::start(primary.port).await;
    let stack = TestStack::distributed().postgres(primary.url()).gateways(0).workers(0);
    let mut stack = stack.delay("100ms").start().await;
    let at = |port: u16| stack.database_url().replace(&primary.port.to_string(), &port.to_string());
    let (named, of_standby) = (at(name.port()), at(standby.port));
    stack.set("DATABASE_URL", &named);
    let client = stack.start_gateway().await;
    stack.start_worker();
    let (hero, meal) = client.create_hero_and_meal().await;
    until("a standby that has caught up", async || {
        let mut there = PgConnection::connect(&of_standby).await.ok()?;
        sqlx::query("select from meals").fetch_optional(&mut there).await.ok()?
    })
    .await;

    name.redirect(standby.port);
    name.cut();
    until_red(&client, "read-only").await;
    client.place_call(hero, meal).await.problem(503, "unavailable");
    assert_eq!(client.get("/meals").await.status, 200, "a standby can be read");
    let late = stack.launch_gateway();

    // No connection is cut: the gateway has to notice the change by itself.
    name.redirect(primary.port);
    let order = id(&client.place_at_last(hero, meal).await);
    client.until_status(order, "COMPLETED").await;
    until_green(&client).await;
    stack.admit(late).await.place(hero, meal).await;
}

async fn set(server: &PostgresServer, statement: &str) {
    let mut admin = PgConnection::connect(&server.url()).await.expect("it answers");
    for statement in [statement, "select pg_reload_conf()"] {
        sqlx::query(AssertSqlSafe(statement.to_owned()))
            .execute(&mut admin)
            .await
            .expect("a superuser may");
    }
}

async fn connections(server: &PostgresServer) -> i64 {
    let mut admin = PgConnection::connect(&server.url()).await.expect("it answers");
    let count =
        sqlx::query("select count(*) from pg_stat_activity where application_name = 'galley'")
            .fetch_one(&mut admin)
            .await;
    count.expect("an answer").get(0)
}

#[tokio::test]
async fn commits_that_wait_for_a_standby_are_no_pile_and_go_on_by_themselves() {
    /// Longer than the time-out of a statement.
    const STALLED: Duration = Duration::from_secs(10);
    let postgres = PostgresServer::start().await;
    let (_stack, client, hero, meal) = TestStack::distributed()
        .postgres(postgres.url())
        .delay("100ms")
        .start_with_hero_and_meal()
        .await;
    client.place(hero, meal).await;
    set(&postgres, "alter system set synchronous_standby_names = 'nobody'").await;

    let place = async |number: usize| {
        let body = json!({"hero_id": hero, "meal_id": meal});
        client.post("/orders", &body).header("Idempotency-Key", &format!("stalled-{number}")).await
    };
    // The setting takes effect a moment later.
    let accepted = async || (client.place_call(hero, meal).await.status != 202).then_some(());
    until("an order that is not placed", accepted).await;
    let began = Instant::now();
    until_red(&client, "does not finish changes").await;
    println!("red {:?} after the first refusal", began.elapsed());
    let mut asked = 0;
    while began.elapsed() < STALLED {
        let sent = Instant::now();
        place(asked).await.problem(503, "unavailable");
        assert!(sent.elapsed() < Duration::from_secs(2), "refused after {:?}", sent.elapsed());
        asked += 1;
        assert!(connections(&postgres).await <= 2 * CONNECTIONS, "a gateway and a worker");
        assert_eq!(client.get("/orders").await.status, 200, "reads go on");
    }
    set(&postgres, "alter system reset synchronous_standby_names").await;
    let over = Instant::now();
    until_green(&client).await;
    println!("{asked} orders were refused; green again {:?} after the stall", over.elapsed());
    let mut orders = Vec::new();
    for number in 0..asked.min(20) {
        orders.push(id(&place(number).await.is(202)));
    }
    client.until_none(&["PENDING", "IN_PROGRESS"]).await;
    orders.sort_unstable();
    orders.dedup();
    assert_eq!(orders.len(), asked.min(20), "each key has its own order");
}
