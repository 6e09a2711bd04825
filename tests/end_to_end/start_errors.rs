//! Startup errors that waiting does not cure end the program at once, and name the address and the
//! setting, but never a password.

use std::time::Instant;

use galley_tests::command_output::{CommandOutput, run};
use galley_tests::test_database::{self, TestDatabase};
use galley_tests::{RedisServer, patience::PATIENCE, port};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

/// Expects a start to fail at once, although it might wait for a minute.
pub async fn fails(program: &str, variables: &[(&str, &str)], parts: &[&str]) {
    let began = Instant::now();
    let said = run(
        program,
        &["--wait", "60s"],
        &[variables, &[("GALLEY_LOG", "off"), ("GALLEY_LISTEN", "127.0.0.1:0")]].concat(),
    )
    .await;
    assert!(began.elapsed() < PATIENCE, "it waited");
    assert_told(&said, parts);
}

fn assert_told(said: &CommandOutput, parts: &[&str]) {
    assert_eq!((said.code, said.stderr.lines().count()), (1, 1), "{said:?}");
    assert!(said.stderr.starts_with("error: ") && !said.stderr.contains("hush"), "{said:?}");
    for part in parts {
        assert!(said.stderr.contains(part), "{part}: {said:?}");
    }
}

#[tokio::test]
async fn a_login_that_postgres_refuses_ends_the_start_at_once() {
    let database = TestDatabase::fresh().await;
    let (before, place) = database.url.split_once('@').expect("a user and a password");
    let wrong_user = format!("postgres://nobody_by_this_name:hush@{place}");
    let wrong_database =
        format!("{before}@{}/no_such_database", place.split_once('/').expect("a database").0);
    let host = place.split_once('/').expect("a database").0;
    for program in ["galley", "galley-gateway", "galley-worker"] {
        let redis = ("REDIS_URL", "redis://127.0.0.1:1");
        fails(
            program,
            &[("DATABASE_URL", &wrong_user), redis],
            &["cannot log in to PostgreSQL at", place, "DATABASE_URL"],
        )
        .await;
        let parts = ["cannot use PostgreSQL at", host, "no_such_database", "DATABASE_URL"];
        fails(program, &[("DATABASE_URL", &wrong_database), redis], &parts).await;
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_the_database_ends_the_start_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("letter"), "Dear reader, this is not a database.").expect("a file");
    std::fs::create_dir(path("folder")).expect("a folder");
    for (file, part) in [
        (path("letter"), "is not a SQLite database"),
        (path("folder"), "is a folder"),
        (path("letter/galley.db"), "cannot create"),
        ("/proc/no/such/place/galley.db".to_owned(), "cannot create"),
        ("/proc/galley.db".to_owned(), "cannot write"),
    ] {
        let url = format!("sqlite://{file}");
        fails("galley", &[("DATABASE_URL", &url)], &[part, "--database-url sqlite://PATH"]).await;
    }
}

#[tokio::test]
async fn a_redis_that_lets_nobody_in_ends_the_start_at_once() {
    let redis = RedisServer::start().await;
    let place = format!("Redis at 127.0.0.1:{}", redis.port);
    let _: String = redis
        .ask(&["ACL", "SETUSER", "reader", "on", ">hush", "~*", "&*", "-@all", "+ping", "+hello"])
        .await;
    let _: String = redis.ask(&["CONFIG", "SET", "requirepass", "hush-hush"]).await;
    let at = |login: &str| format!("redis://{login}127.0.0.1:{}", redis.port);
    let (_folder, database) = test_database::sqlite();
    for (url, part) in [
        (at(""), "asks for a password"),
        (at(":hushed@"), "refused the user or the password"),
        (at("nobody:hush@"), "refused the user or the password"),
        (at("reader:hush@"), "does not allow its user"),
    ] {
        fails(
            "galley",
            &[("DATABASE_URL", &database), ("REDIS_URL", &url)],
            &[&place, part, "REDIS_URL"],
        )
        .await;
    }
}

#[tokio::test]
async fn what_is_waited_for_is_named_with_its_place() {
    let nobody = port::free();
    let postgres = format!("postgres://user:hush@127.0.0.1:{nobody}/orders");
    let said = run(
        "galley-worker",
        &["--wait", "0s"],
        &[("DATABASE_URL", &postgres), ("REDIS_URL", "redis://127.0.0.1:1"), ("GALLEY_LOG", "off")],
    )
    .await;
    assert_told(
        &said,
        &[&format!("cannot reach PostgreSQL at 127.0.0.1:{nobody}/orders: connection refused")],
    );
    let (_folder, database) = test_database::sqlite();
    let redis = format!("redis://:hush@127.0.0.1:{nobody}");
    let variables =
        [("DATABASE_URL", database.as_str()), ("REDIS_URL", &redis), ("GALLEY_LOG", "off")];
    let said = run("galley", &["--wait", "0s", "--listen", "127.0.0.1:0"], &variables).await;
    assert_told(&said, &[&format!("cannot reach Redis at 127.0.0.1:{nobody}: connection refused")]);
}

/// A proxy does so whose server is away.
#[tokio::test]
async fn who_closes_the_connection_at_once_is_waited_for() {
    let proxy = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let place = proxy.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = proxy.accept().await {
            let _unread = client.read(&mut [0; 1_024]).await;
        }
    });
    let postgres = format!("postgres://user:hush@{place}/orders");
    let (_folder, sqlite) = test_database::sqlite();
    let redis = format!("redis://{place}");
    for (program, database, named) in
        [("galley-worker", &postgres, "PostgreSQL"), ("galley", &sqlite, "Redis")]
    {
        let urls = [("DATABASE_URL", database.as_str()), ("REDIS_URL", &redis)];
        let others = [("GALLEY_LOG", "off"), ("GALLEY_LISTEN", "127.0.0.1:0")];
        let said = run(program, &["--wait", "0s"], &[urls, others].concat()).await;
        assert_told(&said, &[&format!("cannot reach {named} at {place}")]);
    }
}

#[tokio::test]
async fn a_host_that_cannot_be_one_is_a_bad_value() {
    for (variable, url) in [
        ("REDIS_URL", "redis+sentinel://:hush@a,b"),
        ("REDIS_URL", "redis://:hush@a,b/1"),
        ("REDIS_URL", "redis://localhost?password=hush"),
        ("REDIS_URL", "redis+unix:///run/redis.sock?pass=hush&base=1"),
        ("DATABASE_URL", "postgres://user:hush@127.0.0.256/orders"),
        ("DATABASE_URL", "postgres://user:hush@a..b/orders"),
        ("REDIS_URL", "redis://:hush@127.0.0.256"),
        ("REDIS_URL", "redis://:hush@a!b"),
    ] {
        let said = run("galley", &["--listen", "127.0.0.1:0"], &[(variable, url)]).await;
        assert_eq!((said.code, said.stderr.lines().count()), (2, 1), "{url}: {said:?}");
        assert!(said.stderr.contains(variable) && !said.stderr.contains("hush"), "{url}: {said:?}");
    }
}
