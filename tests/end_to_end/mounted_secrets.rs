//! Secrets in files: where they are named, and how they are read again.

use std::fs;
use std::path::Path;

use galley_tests::command_output::run;
use galley_tests::json::id;
use galley_tests::namespace::shared_redis;
use galley_tests::patience::until;
use galley_tests::program::Signal;
use galley_tests::{RedisServer, TestClient, TestSocket, TestStack, signed_token};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

/// A second secret of tokens.
const NEXT: &str = "the next secret of the tests, never of anybody";

/// Writes a file and returns its path.
fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("a file");
    path.display().to_string()
}

#[tokio::test]
async fn the_urls_of_database_and_redis_may_be_in_files() {
    let stack = TestStack::distributed().gateways(0).workers(0).start().await;
    let folder = stack.folder();
    let database = file(folder, "database", &format!("{}\n", stack.database_url()));
    let redis = file(folder, "redis", &format!("{}\r\n", shared_redis()));
    let files = [("DATABASE_URL_FILE", &*database), ("REDIS_URL_FILE", &redis)];
    let urls = [("DATABASE_URL", ""), ("REDIS_URL", "")];
    for (program, sign) in
        [("galley-gateway", "listening on http://"), ("galley-worker", "the worker begins")]
    {
        let settings = [&urls[..], &files[..], &[("GALLEY_LISTEN", "127.0.0.1:0")]].concat();
        let mut program = stack.launch(program, &settings);
        program.line(sign).await;
        program.stop().await;
    }
    assert_eq!(run("galley", &["migrate"], &files[..1]).await.code, 0);
}

#[tokio::test]
async fn a_file_that_does_not_serve_is_one_clear_line_without_the_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = "postgres://a:hush@127.0.0.1:1/b";
    let good = file(folder.path(), "good", url);
    let empty = file(folder.path(), "empty", "\n");
    let large = file(folder.path(), "large", &"hush".repeat(10_000));
    let none = folder.path().join("none").display().to_string();
    let redis = ("REDIS_URL", "redis://127.0.0.1:1");
    for (variables, part) in [
        (&[("DATABASE_URL_FILE", &*none)][..], "DATABASE_URL_FILE: cannot read"),
        (&[("DATABASE_URL_FILE", &empty)], "it is empty"),
        (&[("DATABASE_URL_FILE", &large)], "more than 16384 bytes"),
        (&[("DATABASE_URL_FILE", &good), ("DATABASE_URL", url)], "not both"),
        (&[("DATABASE_URL", url), ("REDIS_URL_FILE", &none)], "REDIS_URL_FILE: cannot read"),
    ] {
        for program in ["galley-gateway", "galley-worker"] {
            let redis = if part.starts_with("REDIS") { ("GALLEY_WAIT", "0s") } else { redis };
            let said = run(program, &[], &[variables, &[redis]].concat()).await;
            assert!(said.code == 2 && said.stderr.contains(part), "{variables:?}: {said:?}");
            assert!(!said.stderr.contains("hush") && said.stderr.lines().count() == 1, "{said:?}");
        }
    }
}

#[tokio::test]
async fn two_secrets_check_and_the_first_signs() {
    let folder = tempfile::tempdir().expect("a folder");
    let secrets = file(folder.path(), "secret", &format!("{NEXT}\n{}\n", signed_token::SECRET));
    let settings = [
        ("GALLEY_JWT_SECRET_FILE", &*secrets),
        ("GALLEY_JWT_ISSUER", "the kitchen"),
        ("GALLEY_JWT_AUDIENCE", "galley of the tests"),
        ("GALLEY_JWT_MAX_AGE", "2h"),
    ];
    let stack =
        settings.iter().fold(TestStack::embedded(), |stack, (name, value)| stack.set(name, value));
    let mut stack = stack.set("GALLEY_AUTH", "jwt").start().await;
    let minted = run("galley", &["token", "--staff", "--ttl", "2h"], &settings).await;
    let long = run("galley", &["token", "--staff", "--ttl", "3h"], &settings).await;
    assert!(long.code == 2 && long.stderr.contains("GALLEY_JWT_MAX_AGE"), "{long:?}");
    let now = signed_token::now();
    let claims = json!({"role": "staff", "iss": "the kitchen", "aud": "galley of the tests", "iat": now, "exp": now + 60});
    let of = |secret| signed_token::sign(secret, &claims);
    let status = async |stack: &TestStack, token: &str| {
        stack.client().with_token(token).get("/orders").await.status
    };
    for token in [minted.stdout.trim(), &of(NEXT), &of(signed_token::SECRET)] {
        assert_eq!(status(&stack, token).await, 200, "{token}");
    }
    for (name, value) in [
        ("iss", json!("another")),
        ("aud", json!("galley")),
        ("iss", json!(null)),
        ("aud", json!(null)),
        ("exp", json!(now + 7_300)),
    ] {
        let mut wrong = claims.clone();
        wrong[name] = value;
        assert_eq!(status(&stack, &signed_token::sign(NEXT, &wrong)).await, 401, "{wrong}");
    }
    file(folder.path(), "secret", NEXT);
    stack.gateways[0].program.signal(Signal::HUP);
    until("an end of the earlier secret", async || {
        (status(&stack, &of(signed_token::SECRET)).await == 401).then_some(())
    })
    .await;
    assert_eq!(status(&stack, minted.stdout.trim()).await, 200);
}

on_both_deployments!(a_hangup_reads_the_secret_of_tokens_again_and_nobody_is_cut_off);
async fn a_hangup_reads_the_secret_of_tokens_again_and_nobody_is_cut_off(
    stack: galley_tests::StackBuilder,
) {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = file(folder.path(), "secret", signed_token::SECRET);
    let mut stack = stack
        .with_tokens()
        .set("GALLEY_JWT_SECRET", "")
        .set("GALLEY_JWT_SECRET_FILE", &secret)
        .delay("0s")
        .start()
        .await;
    let (hero, meal) = stack.staff().create_hero_and_meal().await;
    let mut socket = stack.hero(hero).connect_with("").await;
    let claims = json!({"role": "staff", "exp": signed_token::now() + 3_600});
    let next = stack.client().with_token(&signed_token::sign(NEXT, &claims));
    let status = async |client: &TestClient| client.get("/orders").await.status;
    assert_eq!((status(&stack.staff()).await, status(&next).await), (200, 401));
    file(folder.path(), "secret", NEXT);
    stack.gateways[0].program.signal(Signal::HUP);
    until("the next secret", async || (status(&next).await == 200).then_some(())).await;
    assert_eq!(status(&stack.staff()).await, 401);
    file(folder.path(), "secret", "too short");
    stack.gateways[0].program.signal(Signal::HUP);
    stack.gateways[0].program.line("the secrets of tokens stay as they were").await;
    assert_eq!(status(&next).await, 200);
    let reply = socket.reply(json!({"type": "place", "meal_id": meal})).await;
    socket.until_status(id(&reply["order"]), "COMPLETED").await;
}

#[tokio::test]
async fn passwords_of_database_and_redis_change_without_a_restart() {
    let redis = RedisServer::start().await;
    let user = ["ACL", "SETUSER", "galley", "on", ">first", "~*", "&*", "+@all"];
    redis.ask::<()>(&user).await;
    let mut stack = TestStack::distributed().gateways(0).workers(0).delay("0s").start().await;
    let mut admin = PgConnection::connect(stack.database_url()).await.expect("a connection");
    let role = format!("galley_{}", rand::random::<u32>());
    let mut tell = async |statement: String| {
        admin.execute(AssertSqlSafe(statement)).await.expect("a statement that is right");
    };
    tell(format!("create role {role} superuser login password 'first'")).await;
    let place = stack.database_url().split_once('@').expect("a user").1.to_owned();
    let folder = stack.folder().to_owned();
    let write = |password: &str| {
        let url = format!("postgres://{role}:{password}@{place}");
        let database = file(&folder, "database", &url);
        let url = format!("redis://galley:{password}@127.0.0.1:{}", redis.port);
        (database, file(&folder, "redis", &url))
    };
    let (database, bus) = write("first");
    let settings = [
        ("DATABASE_URL", ""),
        ("REDIS_URL", ""),
        ("DATABASE_URL_FILE", &*database),
        ("REDIS_URL_FILE", &*bus),
    ];
    let gateway = stack.launch("galley-gateway", &settings);
    let mut worker = stack.launch("galley-worker", &settings);
    let client = stack.admit(gateway).await;
    let (hero, meal) = client.create_hero_and_meal().await;
    client.place_until(hero, meal, "COMPLETED").await;

    write("second");
    tell(format!("alter role {role} password 'second'")).await;
    redis.ask::<()>(&["ACL", "SETUSER", "galley", "resetpass", ">second"]).await;
    let programs = [&mut stack.gateways[0].program, &mut worker];
    for program in programs {
        program.signal(Signal::HUP);
        program.line("REDIS_URL_FILE").await;
    }
    let killed: usize = redis.ask(&["CLIENT", "KILL", "USER", "galley"]).await;
    assert!(killed > 0, "nobody used the first password");
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where usename";
    tell(format!("{cut} = '{role}'")).await;
    let query = format!("?hero_id={hero}");
    let opening = async || TestSocket::open(client.handshake(&query)).await.ok();
    let mut socket = until("a socket", opening).await;
    let placed = client.place_at_last(hero, meal).await;
    socket.until_status(id(&placed), "COMPLETED").await;
    drop((worker, stack.gateways.pop()));
    tell(format!("reassign owned by {role} to current_user")).await;
    tell(format!("drop role {role}")).await;
}
