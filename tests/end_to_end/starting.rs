//! The programs start, or report in one line why they do not.

use galley_tests::command_output::{CommandOutput, run};
use galley_tests::{StackBuilder, TestProgram, TestStack, port, test_database, within};

/// Expects exactly one line on standard error, without a secret.
fn assert_one_line(said: &CommandOutput, code: i32, part: &str) {
    assert_eq!(said.code, code, "{said:?}");
    assert_eq!(said.stderr.trim_end().lines().count(), 1, "{said:?}");
    assert!(said.stderr.starts_with("error: ") && said.stderr.contains(part), "{said:?}");
    assert!(!said.stderr.contains("hush"), "a password is shown: {said:?}");
    assert_eq!(said.stdout, "");
}

#[tokio::test]
async fn a_bad_value_is_one_line_and_exit_code_2() {
    let redis = ("REDIS_URL", "redis://127.0.0.1:1");
    let postgres = ("DATABASE_URL", "postgres://user:hush@127.0.0.1:1/none");
    for (program, arguments, variables, part) in [
        (
            "galley-gateway",
            &[][..],
            vec![("DATABASE_URL", "mysql://user:hush@localhost/x"), redis],
            "--database-url",
        ),
        ("galley-worker", &[], vec![("DATABASE_URL", "nonsense hush"), redis], "--database-url"),
        ("galley-gateway", &[], vec![redis], "--database-url"),
        ("galley-gateway", &[], vec![postgres], "--redis-url"),
        ("galley-gateway", &["--listen", "nowhere"], vec![postgres, redis], "--listen"),
        ("galley-gateway", &["--max-message", "1"], vec![postgres, redis], "--max-message"),
        ("galley-gateway", &["--command-rate", "50"], vec![postgres, redis], "--command-rate"),
        ("galley-gateway", &[], vec![postgres, redis, ("GALLEY_REST_RATE", "0/s")], "--rest-rate"),
        (
            "galley-gateway",
            &[],
            vec![postgres, redis, ("GALLEY_MAX_SOCKETS", "0")],
            "--max-sockets",
        ),
        (
            "galley-gateway",
            &["--max-sockets-per-ip", "many"],
            vec![postgres, redis],
            "--max-sockets-per-ip",
        ),
        ("galley-gateway", &["--colour"], vec![postgres, redis], "--colour"),
        ("galley-gateway", &[], vec![postgres, redis, ("GALLEY_AUTH", "jwt")], "--auth"),
        (
            "galley-gateway",
            &["--auth", "jwt", "--jwt-secret", "hush"],
            vec![postgres, redis],
            "at least 32 bytes",
        ),
        (
            "galley-gateway",
            &["--auth", "jwt", "--jwt-secret-file", "/nowhere"],
            vec![postgres, redis],
            "GALLEY_JWT_SECRET_FILE",
        ),
        (
            "galley-gateway",
            &["--auth", "jwt", "--jwt-secret-file", "x"],
            vec![postgres, redis, ("GALLEY_JWT_SECRET", "hush")],
            "not both",
        ),
        ("galley-gateway", &["--allowed-origins", "*"], vec![postgres, redis], "--allowed-origins"),
        (
            "galley-gateway",
            &["--allowed-origins", "http://a,https://b/path"],
            vec![postgres, redis],
            "https://b/path",
        ),
        (
            "galley-worker",
            &["--processing-delay", "5s..1s"],
            vec![postgres, redis],
            "--processing-delay",
        ),
        (
            "galley-worker",
            &[],
            vec![postgres, redis, ("GALLEY_PROCESSING_DELAY", "soon")],
            "--processing-delay",
        ),
        ("galley", &["--wait", "forever"], vec![], "--wait"),
        ("galley", &["--log", "a=b=c"], vec![], "--log"),
        ("galley", &["--log-format", "xml"], vec![], "--log-format"),
        ("galley", &["--database-url", "oracle://hush"], vec![], "--database-url"),
        ("galley", &["dance"], vec![], "dance"),
    ] {
        assert_one_line(&run(program, arguments, &variables).await, 2, part);
    }
}

#[tokio::test]
async fn nobody_beyond_this_machine_is_served_without_authentication_unless_told_so() {
    let (_folder, url) = test_database::sqlite();
    let said = run(
        "galley",
        &[],
        &[("GALLEY_LISTEN", "0.0.0.0:0"), ("DATABASE_URL", &url), ("GALLEY_LOG", "off")],
    )
    .await;
    assert_one_line(&said, 2, "GALLEY_INSECURE_NO_AUTH=1");
}

#[tokio::test]
async fn with_tokens_every_address_may_be_listened_on() {
    listens_everywhere(TestStack::embedded().with_tokens()).await;
}

/// Expects a gateway with these settings to listen on every address of this machine.
pub async fn listens_everywhere(stack: StackBuilder) {
    let stack = stack.set("GALLEY_LISTEN", "0.0.0.0:0").gateways(0).start().await;
    let mut program = stack.launch_gateway();
    program.line("listening on http://0.0.0.0:").await;
    program.stop().await;
}

#[tokio::test]
async fn a_dependency_that_does_not_come_is_waited_for_and_named() {
    let (nobody, redis) = (port::free(), galley_tests::namespace::shared_redis());
    let postgres = format!("postgres://user:hush@127.0.0.1:{nobody}/none");
    for program in ["galley-gateway", "galley-worker"] {
        let variables =
            [("DATABASE_URL", postgres.as_str()), ("REDIS_URL", &redis), ("GALLEY_LOG", "off")];
        assert_one_line(
            &run(program, &["--wait", "1s"], &variables).await,
            1,
            "the database was not ready within 1s",
        );
    }
    let stack = TestStack::distributed().gateways(0).workers(0).start().await;
    let away = format!("redis://:hush@127.0.0.1:{nobody}");
    let database = stack.database_url();
    for program in ["galley-gateway", "galley-worker"] {
        let variables = [("DATABASE_URL", database), ("REDIS_URL", &away), ("GALLEY_LOG", "off")];
        assert_one_line(
            &run(program, &["--wait", "1s"], &variables).await,
            1,
            "Redis was not ready within 1s",
        );
    }
    let said = run(
        "galley",
        &["migrate", "--wait", "1s"],
        &[("DATABASE_URL", &postgres), ("GALLEY_LOG", "off")],
    )
    .await;
    assert_one_line(&said, 1, "the database was not ready within 1s");
}

#[tokio::test]
async fn a_dependency_that_comes_late_is_waited_for() {
    let mut redis = galley_tests::RedisServer::start().await;
    redis.kill();
    let mut stack =
        TestStack::distributed().gateways(0).workers(0).redis(redis.url()).start().await;
    let mut waiting = stack.launch_gateway();
    waiting.line("waiting for Redis").await;
    redis.restart().await;
    waiting.line("listening on http://").await;
    waiting.stop().await;
    stack.start_gateway().await;
}

#[tokio::test]
async fn a_database_file_belongs_to_one_process_and_an_address_too() {
    let stack = TestStack::embedded().start().await;
    let mut second: TestProgram = stack.launch_gateway();
    let status = within("the end of the second", second.exit()).await;
    assert_eq!(status.code(), Some(1), "{}", second.log());
    assert!(second.log().contains("another process serves"), "{}", second.log());

    let (_folder, url) = test_database::sqlite();
    let address = stack.gateways[0].url.trim_start_matches("http://");
    let said = run(
        "galley",
        &[],
        &[("GALLEY_LISTEN", address), ("DATABASE_URL", &url), ("GALLEY_LOG", "off")],
    )
    .await;
    assert_one_line(&said, 1, "cannot listen on");
    assert_eq!(stack.client().get("/readyz").await.status, 200);
}

#[tokio::test]
async fn only_an_empty_embedded_database_is_seeded_and_only_once() {
    let mut stack = TestStack::embedded().seeded().start().await;
    let client = stack.client();
    let (heroes, meals) = (client.all("/heroes").await, client.all("/meals").await);
    assert!(heroes.len() >= 3 && meals.len() >= 5);
    stack.gateways.pop().expect("it runs").program.stop().await;
    let client = stack.start_gateway().await;
    assert_eq!((client.all("/heroes").await, client.all("/meals").await), (heroes, meals));
    let bare = TestStack::distributed().start().await;
    assert!(bare.client().all("/meals").await.is_empty());
}

#[tokio::test]
async fn every_program_explains_itself() {
    for program in ["galley", "galley-gateway", "galley-worker"] {
        let help =
            run(program, &["--help"], &[("DATABASE_URL", "postgres://user:hush@localhost/x")])
                .await;
        assert_eq!((help.code, help.stderr.as_str()), (0, ""));
        for part in ["DATABASE_URL", "REDIS_URL", "GALLEY_WAIT", "GALLEY_LOG", "Examples:"] {
            assert!(
                help.stdout.contains(part)
                    || help.stdout.contains(&part.replace("Examples", "Example")),
                "{program}: {part}"
            );
        }
        assert!(!help.stdout.contains("hush"), "{program} shows a password");
        let version = run(program, &["--version"], &[]).await;
        assert_eq!(
            (version.code, version.stdout),
            (0, format!("{program} {}\n", env!("CARGO_PKG_VERSION")))
        );
    }
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let stack = TestStack::distributed().start().await;
    let client = stack.client();
    client.create_hero_and_meal().await;
    let said = run("galley", &["migrate"], &[("DATABASE_URL", stack.database_url())]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(client.all("/heroes").await.len(), 1);
}
