//! `PostgreSQL` behind `PgBouncer`: session mode serves as well as the server itself, and the modes
//! that share sessions are refused.

use galley_tests::command_output::run;
use galley_tests::json::id;
use galley_tests::{Pooler, PostgresServer, TestStack, until};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};
use std::str::FromStr as _;

#[tokio::test]
async fn in_session_mode_orders_survive_a_killed_worker_and_every_time_out_holds() {
    let server = PostgresServer::start().await;
    // As it comes: it refuses every parameter of the session that it does not know.
    let pooler = Pooler::start_with(server.port, "pool_mode = session").await;
    let stack = TestStack::distributed().postgres(server.url()).gateways(0).workers(0);
    let mut stack = stack.delay("1s").start().await;
    let url = stack.database_url().replace(&server.port.to_string(), &pooler.port.to_string());
    stack.set("DATABASE_URL", &url);
    let client = stack.start_gateway().await;
    stack.start_worker();
    let (hero, meal) = client.create_hero_and_meal().await;
    let order = id(&client.place(hero, meal).await);
    client.until_status(order, "IN_PROGRESS").await;
    stack.workers[0].kill();
    stack.start_worker();
    client.until_status(order, "COMPLETED").await;

    // A statement that waits for a lock for too long is ended by the server.
    let mut holder =
        direct(&stack.database_url().replace(&pooler.port.to_string(), &server.port.to_string()))
            .await;
    sqlx::raw_sql("begin; lock table meals in access exclusive mode")
        .execute(&mut holder)
        .await
        .expect("a lock");
    let held = client.get("/meals").await;
    held.problem(503, "unavailable");
    until("the end of the waiting statement", async || {
        let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%meals%'";
        (server.number(waiting).await == 0).then_some(())
    })
    .await;
}

async fn direct(url: &str) -> PgConnection {
    PgConnectOptions::from_str(url).expect("a URL").connect().await.expect("the server answers")
}

#[tokio::test]
async fn a_pooler_that_shares_sessions_is_refused_with_what_to_set_instead() {
    let server = PostgresServer::start().await;
    for settings in [
        "pool_mode = transaction",
        "pool_mode = statement",
        "pool_mode = transaction\nserver_round_robin = 1\nmin_pool_size = 3",
        "pool_mode = transaction\nmax_db_connections = 1",
    ] {
        let pooler = Pooler::start_with(server.port, settings).await;
        let url = format!("postgres://postgres:hush@127.0.0.1:{}/postgres", pooler.port);
        let variables = [("DATABASE_URL", url.as_str()), ("GALLEY_LOG", "off")];
        let said = run("galley", &["migrate", "--wait", "60s"], &variables).await;
        assert_eq!((said.code, said.stderr.lines().count()), (1, 1), "{settings}: {said:?}");
        for part in [&format!("127.0.0.1:{}", pooler.port), "pool_mode = session", "DATABASE_URL"] {
            assert!(said.stderr.contains(part), "{settings}: {part}: {said:?}");
        }
    }
}
