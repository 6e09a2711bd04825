//! Logs, metrics, errors and help contain no secrets, and the log records refusals.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use galley_tests::command_output::run;
use galley_tests::{StackBuilder, TestClient, TestProgram, TestSocket, TestStack, signed_token};
use reqwest::Method;
use serde_json::{Value, json};

const PASSWORD: &str = "hush-this-is-a-password";

/// The lines that a program logged, without its output for people.
fn logged(program: &TestProgram) -> Vec<String> {
    program
        .log()
        .lines()
        .filter(|line| !line.starts_with("listening on "))
        .map(str::to_owned)
        .collect()
}

/// The URL of a database with a password in it, and the password. A server that needs no password
/// ignores it.
fn with_password(url: &str) -> (String, String) {
    let (scheme, rest) = url.split_once("://").expect("a scheme");
    let (user, place) = rest.split_once('@').expect("a user");
    match user.split_once(':') {
        Some((_, password)) => (url.to_owned(), password.to_owned()),
        None => (format!("{scheme}://{user}:{PASSWORD}@{place}"), PASSWORD.to_owned()),
    }
}

#[tokio::test]
async fn no_secret_is_told_anywhere() {
    let mut stack =
        TestStack::distributed().with_tokens().set("GALLEY_LOG", "debug").delay("0s").start().await;
    let (url, password) = with_password(stack.database_url());
    stack.set("DATABASE_URL", &url);
    stack.start_gateway().await;
    stack.start_worker();
    let staff = stack.client_of(1).with_token(&signed_token::staff(3_600));
    let (hero, meal) = staff.create_hero_and_meal().await;
    let secrets = [
        signed_token::hero(hero, 3_600),
        signed_token::hero(hero, -3_600),
        signed_token::sign("of another secret, long enough for all", &json!({})),
    ];
    let mut said = String::new();
    for token in &secrets {
        let client = TestClient::new(staff.base()).with_token(token);
        for path in [
            "/orders",
            "/heroes",
            "/nothing",
            &format!("/orders?token={token}"),
            &format!("/heroes/{hero}/events?token={token}"),
        ] {
            let answer = client.get(path).await;
            writeln!(said, "{:?} {}", answer.headers, answer.text)
                .expect("writing to memory does not fail");
        }
        let mut socket = TestSocket::knock(TestClient::new(staff.base()).handshake(""))
            .await
            .expect("an open socket");
        socket.say(&json!({"type": "auth", "token": token}).to_string()).await;
        said += &socket.next().await.to_string();
        if let Ok(mut socket) = TestSocket::open(client.handshake("")).await {
            said += &socket
                .problem(json!({"type": "auth", "token": format!("{token}x")}))
                .await
                .to_string();
        }
    }
    staff.place_until(hero, meal, "COMPLETED").await;
    said += &staff.get("/metrics").await.text;
    said += &staff.get("/readyz").await.text;
    for program in stack.gateways.iter().map(|gateway| &gateway.program).chain(&stack.workers) {
        said += &program.log();
    }
    assert!(said.contains("galley_refusals_total{"), "the metrics were read");
    let parts = |token: &str| {
        token.rsplit_once('.').map(|(_, signature)| signature.to_owned()).expect("a signature")
    };
    for secret in
        secrets.iter().map(|token| parts(token)).chain([signed_token::SECRET.to_owned(), password])
    {
        let line = said.lines().find(|line| line.contains(&secret));
        assert!(line.is_none(), "{secret} is told: {line:?}");
    }
}

#[tokio::test]
async fn a_secret_that_can_be_guessed_ends_the_start() {
    for weak in
        ["a".repeat(40), "secret-1".repeat(5), "change-me-to-something-longer-please".into()]
    {
        let settings = [("GALLEY_JWT_SECRET", weak.as_str()), ("DATABASE_URL", "sqlite://x/y.db")];
        for arguments in [&["--auth", "jwt"][..], &["token", "--staff"]] {
            let said = run("galley", arguments, &settings).await;
            assert!(said.code == 2 && said.stderr.contains("can be guessed"), "{said:?}");
            assert!(said.stderr.lines().count() == 1 && !said.stderr.contains(&weak), "{said:?}");
        }
    }
}

#[tokio::test]
async fn the_files_of_an_embedded_database_are_their_owner_s_alone() {
    let stack = TestStack::embedded().start().await;
    let backup = stack.folder().join("backup.db");
    let arguments = ["backup", backup.to_str().expect("UTF-8")];
    let said = run("galley", &arguments, &[("DATABASE_URL", stack.database_url())]).await;
    assert_eq!(said.code, 0, "{said:?}");
    for name in ["galley.db", "galley.db-wal", "galley.db-shm", "galley.db.lock", "backup.db"] {
        let file = std::fs::metadata(stack.folder().join(name)).expect("a file");
        assert_eq!(file.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn the_help_and_the_errors_show_no_secret() {
    let url = format!("postgres://user:{PASSWORD}@127.0.0.1:1/none");
    let redis = format!("redis://:{PASSWORD}@127.0.0.1:1");
    let variables = [
        ("DATABASE_URL", url.as_str()),
        ("REDIS_URL", redis.as_str()),
        ("GALLEY_JWT_SECRET", PASSWORD),
        ("GALLEY_TOKEN", PASSWORD),
        ("GALLEY_LOG", "debug"),
    ];
    let commands: &[(&str, &[&str])] = &[
        ("galley", &["--help"]),
        ("galley", &["-h"]),
        ("galley", &["hero", "list", "--help"]),
        ("galley", &["watch", "--help"]),
        ("galley", &["token", "--help"]),
        ("galley", &["migrate", "--help"]),
        ("galley", &["migrate", "--wait", "100ms"]),
        ("galley", &["token", "--staff"]),
        ("galley", &["token", "--hero"]),
        ("galley", &["meal", "list", "--url", "http://127.0.0.1:1"]),
        ("galley", &["--auth", "jwt"]),
        ("galley", &["--auth", "jwt", "--jwt-secret-file", "/nowhere"]),
        ("galley-gateway", &["--help"]),
        ("galley-gateway", &["--wait", "100ms"]),
        ("galley-gateway", &["--auth", "jwt"]),
        ("galley-worker", &["--help"]),
        ("galley-worker", &["--wait", "100ms"]),
    ];
    for (program, arguments) in commands {
        let said = run(program, arguments, &variables).await;
        let whole = format!("{}{}", said.stdout, said.stderr);
        assert!(!whole.contains("hush"), "{program} {arguments:?}: {whole}");
        assert!(!whole.is_empty(), "{program} {arguments:?}");
    }
}

on_both_deployments!(a_log_is_one_object_a_line_whatever_callers_send);
async fn a_log_is_one_object_a_line_whatever_callers_send(stack: StackBuilder) {
    let stack = stack.set("GALLEY_LOG", "debug").delay("0s").start().await;
    let client = stack.client();
    let forged = "x\",\"level\":\"ERROR\",\"message\":\"forged";
    let names = [
        forged,
        "\u{200b}evil\u{ad}",
        "{\"level\":\"ERROR\"}",
        "\\u001b[2J",
        "${jndi:ldap://x}",
        "%0a%0d",
        "<b>'--;",
    ];
    for name in names {
        let hero = client.create_hero(name, &[name]).await;
        let meal = client.create_meal(name, &[name]).await;
        client.place_until(hero, meal, "CANCELLED").await;
    }
    let control = json!({"name": "a\r\n{\"level\":\"ERROR\"}\u{1b}[2J", "planet": "x"});
    client.post("/heroes", &control).await.problem(422, "validation-failed");
    for path in [
        "/%0d%0a%7b%22level%22%3a%22ERROR%22%7d",
        "/heroes/%1b%5b2J",
        "/x\"y",
        &format!("/{}", "long".repeat(500)),
    ] {
        let answer = client
            .get(path)
            .header("X-Request-Id", "a\",\"level\":\"ERROR")
            .header("User-Agent", forged)
            .await;
        assert!(answer.status == 404 || answer.status == 400, "{answer:?}");
    }
    client
        .call(Method::from_bytes(b"BREW").expect("a method"), "/heroes")
        .await
        .problem(405, "method-not-allowed");
    let mut socket = client.connect_with("").await;
    for words in [forged, "\u{1b}[2J", "a\nb\r\nc", "{\"type\":\"\\u001b[2J\"}"] {
        socket.say(words).await;
        assert_eq!(socket.next().await["type"], "error");
    }
    let mut lines = Vec::new();
    for program in stack.gateways.iter().map(|gateway| &gateway.program).chain(&stack.workers) {
        lines.extend(logged(program));
    }
    assert!(lines.len() > 50, "debug tells of every request");
    for line in &lines {
        assert!(!line.chars().any(char::is_control), "{line:?}");
        let line: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(
            line["level"].is_string() && line["level"] != "ERROR" && line["timestamp"].is_string(),
            "{line}"
        );
    }
    let whole = lines.concat();
    assert!(
        !whole.contains("jndi") && !whole.contains("forged"),
        "names, words and headers are not logged"
    );
}

on_both_deployments!(the_log_hears_of_each_kind_of_refusal_once_a_second);
async fn the_log_hears_of_each_kind_of_refusal_once_a_second(stack: StackBuilder) {
    let stack = stack.with_tokens().start().await;
    let nobody = stack.client();
    let began = Instant::now();
    for _ in 0..100 {
        nobody.get("/orders").await.problem(401, "unauthorized");
        nobody.with_token("garbage").get("/orders").await.problem(401, "unauthorized");
    }
    let most = usize::try_from(began.elapsed().as_secs()).expect("a short time") + 2;
    let staff = stack.staff();
    for cause in ["no-token", "bad-signature"] {
        assert_eq!(staff.metric(&format!("galley_refusals_total{{cause=\"{cause}\"}}")).await, 100);
        let lines = logged(&stack.gateways[0].program);
        let told =
            lines.iter().filter(|line| line.contains(&format!("\"cause\":\"{cause}\""))).count();
        assert!((1..=most).contains(&told), "{told} lines of {cause} in {:?}", began.elapsed());
    }
}
