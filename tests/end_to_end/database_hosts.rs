//! A database on several servers, of which one takes changes, and one behind a Unix socket.

use galley_tests::command_output::run;
use galley_tests::json::id;
use galley_tests::test_database::shared_postgres;
use galley_tests::{PostgresServer, TestStack, port, until};
use sqlx::{Connection as _, PgConnection};

#[tokio::test]
async fn when_the_primary_is_gone_the_promoted_standby_takes_its_place() {
    let mut primary = PostgresServer::start().await;
    let standby = primary.standby(primary.port).await;
    let stack = TestStack::distributed().postgres(primary.url()).gateways(0).workers(0);
    let mut stack = stack.delay("100ms").start().await;
    // The standby comes first: it must not be taken for the one that takes changes.
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", standby.port, primary.port);
    let url = stack.database_url().replace(&format!("127.0.0.1:{}", primary.port), &hosts);
    let of_standby =
        stack.database_url().replace(&primary.port.to_string(), &standby.port.to_string());
    stack.set("DATABASE_URL", &format!("{url}?target_session_attrs=read-write"));
    let client = stack.start_gateway().await;
    stack.start_worker();
    let (hero, meal) = client.create_hero_and_meal().await;
    let first = id(&client.place(hero, meal).await);
    client.until_status(first, "COMPLETED").await;
    until("a standby that has caught up", async || {
        let mut there = PgConnection::connect(&of_standby).await.ok()?;
        let ended = sqlx::query("select from orders where completed_time is not null");
        ended.fetch_optional(&mut there).await.ok()?
    })
    .await;

    primary.stop().await;
    standby.execute("select pg_promote()").await;
    let order = id(&client.place_at_last(hero, meal).await);
    client.until_status(order, "COMPLETED").await;
    until("a ready gateway", async || (client.get("/readyz").await.status == 200).then_some(()))
        .await;
    client.until_status(first, "COMPLETED").await;
}

#[tokio::test]
async fn every_server_that_was_tried_is_named_with_its_reason() {
    let ports = [port::free(), port::free()];
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", ports[0], ports[1]);
    let url = format!("postgres://u:hush@{hosts}/db");
    let variables = [("DATABASE_URL", url.as_str()), ("GALLEY_LOG", "off")];
    let said = run("galley", &["migrate", "--wait", "0s"], &variables).await;
    let expected = format!(
        "cannot reach PostgreSQL at {hosts}/db: 127.0.0.1:{}: connection refused; 127.0.0.1:{}: \
         connection refused",
        ports[0], ports[1]
    );
    assert!(said.code == 1 && said.stderr.contains(&expected), "{said:?}");
}

#[tokio::test]
async fn a_server_that_answers_is_found_behind_one_that_does_not() {
    let shared = shared_postgres();
    let (before, after) = shared.rsplit_once('@').expect("a user");
    let url = format!("{before}@127.0.0.1:{},{after}?connect_timeout=5", port::free());
    // It is asked whether the schema is there, and it is not.
    let variables = [
        ("DATABASE_URL", url.as_str()),
        ("REDIS_URL", "redis://127.0.0.1:1"),
        ("GALLEY_LOG", "off"),
    ];
    let said = run("galley-worker", &["--wait", "0s"], &variables).await;
    assert!(said.code == 1 && said.stderr.contains("galley migrate"), "{said:?}");
}

#[tokio::test]
async fn a_unix_socket_is_connected_to_in_each_form_and_trusted_like_this_machine() {
    let folder = tempfile::tempdir_in("/tmp").expect("a folder");
    galley_tests::postgres_server::give(
        folder.path(),
        galley_tests::postgres_server::Account::of_servers(),
    );
    let server = PostgresServer::start_with(&["-k", &folder.path().display().to_string()]).await;
    let (folder, port) = (folder.path().display().to_string(), server.port);
    let encoded = folder.replace('/', "%2F");
    for url in [
        format!("postgres:///postgres?host={folder}&port={port}&user=postgres"),
        format!("postgres://postgres@/postgres?host={encoded}&port={port}&sslmode=verify-full"),
        format!("postgresql://postgres@{encoded}:{port}/postgres"),
        format!("postgres://postgres@127.0.0.1:1,{encoded}:{port}/postgres"),
    ] {
        let variables = [("DATABASE_URL", url.as_str()), ("GALLEY_LOG", "off")];
        let said = run("galley", &["migrate", "--wait", "0s"], &variables).await;
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{url}");
    }
}
