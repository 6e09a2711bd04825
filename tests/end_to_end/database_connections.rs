//! The connections of a process: few while it is idle, and shared out between work and reads.

use std::time::{Duration, Instant};

use galley_tests::command_output::run;
use galley_tests::{PostgresServer, TestStack, until};

/// The connections of a `PostgreSQL` as it comes that are not kept for superusers.
const STOCK: i64 = 97;
const WORKERS: usize = 20;

const CONNECTIONS: &str = "select count(*) from pg_stat_activity where application_name = 'galley'";
const SESSIONS: &str =
    "select sum(sessions)::bigint from pg_stat_database where datname like 'galley%'";
const TRANSACTIONS: &str = "select sum(xact_commit + xact_rollback)::bigint from pg_stat_database
    where datname like 'galley%'";

#[tokio::test]
async fn twenty_idle_workers_fit_on_a_stock_server_and_leave_it_alone() {
    const WATCHED: Duration = Duration::from_secs(4);
    /// Transactions of one process in that time.
    const QUIET: i64 = 14;
    let server = PostgresServer::start_with(&["-c", "max_connections=100"]).await;
    let stack = TestStack::distributed().postgres(server.url()).gateways(2).workers(0);
    let mut stack = stack.delay("0s").start().await;
    for _ in 0..WORKERS {
        stack.start_worker();
    }
    for worker in &mut stack.workers {
        worker.line("the worker begins").await;
    }
    let processes = i64::try_from(WORKERS + 2).expect("few");
    let (mut began, mut before) = (Instant::now(), server.number(TRANSACTIONS).await);
    // The first of these times have the starts of the processes.
    until("processes that leave the server alone", async || {
        if began.elapsed() < WATCHED {
            return None;
        }
        let now = server.number(TRANSACTIONS).await;
        let done = (now - before) / processes;
        (began, before) = (Instant::now(), now);
        println!("{done} transactions of each process in {WATCHED:?}");
        (done <= QUIET).then_some(())
    })
    .await;
    let connections = server.number(CONNECTIONS).await;
    assert!(connections < STOCK, "{connections} connections");
    println!("{connections} connections");
    let client = stack.client();
    let (hero, meal) = client.create_hero_and_meal().await;
    client.place_until(hero, meal, "COMPLETED").await;
}

#[tokio::test]
async fn callers_that_come_one_after_the_other_use_the_same_connections() {
    const CALLERS: usize = 100;
    let server = PostgresServer::start().await;
    let stack = TestStack::distributed().postgres(server.url()).workers(0);
    let (_stack, client, hero, _meal) = stack.start_with_hero_and_meal().await;
    let sessions = async || server.number(SESSIONS).await;
    let before = sessions().await;
    for _ in 0..CALLERS {
        drop(client.connect(hero).await);
    }
    let opened = sessions().await - before;
    assert!(opened <= 7, "{opened} connections were opened for {CALLERS} callers");
}

#[tokio::test]
async fn too_few_connections_are_a_bad_value_and_the_fewest_serve() {
    let variables = [("GALLEY_DATABASE_CONNECTIONS", "3")];
    for program in ["galley", "galley-gateway", "galley-worker"] {
        let said = run(program, &[], &variables).await;
        assert_eq!(said.code, 2, "{program}: {said:?}");
        assert!(said.stderr.contains("--database-connections"), "{program}: {said:?}");
    }
    let server = PostgresServer::start().await;
    let stack = TestStack::distributed().postgres(server.url()).delay("0s");
    let stack = stack.set("GALLEY_DATABASE_CONNECTIONS", "4");
    let (_stack, client, hero, meal) = stack.start_with_hero_and_meal().await;
    let placing = (0..20).map(|_| client.place(hero, meal));
    futures_util::future::join_all(placing).await;
    let connections = server.number(CONNECTIONS).await;
    assert!(connections <= 2 * 4, "{connections} connections of two processes");
    client.until_none(&["PENDING", "IN_PROGRESS"]).await;
}
