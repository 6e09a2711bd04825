//! `--check` and `galley doctor` tell what would be used, and whether it answers.

use galley_tests::command_output::{CommandOutput, run};
use galley_tests::key_server::KeyServer;
use galley_tests::namespace::shared_redis;
use galley_tests::{RedisServer, TestStack};
use serde_json::{Value, json};

/// Expects one line that contains all of these parts.
fn has_line(said: &CommandOutput, parts: &[&str]) {
    let line = said.stdout.lines().find(|line| parts.iter().all(|part| line.contains(part)));
    assert!(line.is_some(), "{parts:?}: {said:?}");
}

#[tokio::test]
async fn a_check_lists_each_setting_with_its_source_and_tries_the_servers() {
    let stack = TestStack::distributed().gateways(0).workers(0).start().await;
    let redis = shared_redis();
    let variables =
        [("DATABASE_URL", stack.database_url()), ("REDIS_URL", &redis), ("GALLEY_WAIT", "7s")];
    for program in ["galley-gateway", "galley-worker", "galley"] {
        let said = run(program, &["--check", "--log", "warn"], &variables).await;
        assert_eq!(said.code, 0, "{program}: {said:?}");
        has_line(&said, &["--wait", "7s", "(GALLEY_WAIT)"]);
        has_line(&said, &["--log ", "warn", "(--log)"]);
        has_line(&said, &["--database-url", "(hidden)", "(DATABASE_URL)"]);
        has_line(&said, &["--namespace", "galley:v1", "(default)"]);
        has_line(&said, &["ok", "database", "schema is up to date"]);
        has_line(&said, &["ok", "Redis"]);
        let password = stack.database_url().split([':', '@']).nth(2).expect("a password");
        assert!(!said.stdout.contains(password) || password.contains("127.0.0.1"), "{said:?}");
    }
}

#[tokio::test]
async fn a_check_tries_everything_and_fails_for_one_that_does_not_answer() {
    let redis = shared_redis();
    let gone = ("DATABASE_URL", "postgres://a:hush@127.0.0.1:1/b");
    for program in ["galley-gateway", "galley-worker", "galley"] {
        let said = run(program, &["--check"], &[gone, ("REDIS_URL", &redis)]).await;
        assert!(said.code == 1 && !said.stdout.contains("hush"), "{program}: {said:?}");
        has_line(&said, &["FAILED", "database", "127.0.0.1:1"]);
        has_line(&said, &["ok", "Redis"]);
    }
    let variables = [gone, ("REDIS_URL", &redis), ("GALLEY_AUTH", "jwt")];
    let said = run("galley-gateway", &["--check"], &variables).await;
    assert!(said.code == 2 && said.stderr.contains("GALLEY_JWT_SECRET"), "{said:?}");
}

#[tokio::test]
async fn a_check_reads_the_keys_of_the_identity_provider() {
    let (server, redis) = (KeyServer::start().await, shared_redis());
    let (database, address) = (("DATABASE_URL", "sqlite://none.db"), server.address());
    let tokens = [
        ("GALLEY_AUTH", "jwt"),
        ("GALLEY_JWT_ISSUER", "https://provider.example"),
        ("GALLEY_JWT_JWKS", &address),
    ];
    let variables = [&tokens[..], &[database, ("REDIS_URL", &redis)]].concat();
    let gone = ("DATABASE_URL", "postgres://a:hush@127.0.0.1:1/b");
    let of_gateway = [&tokens[..], &[gone, ("REDIS_URL", &redis)]].concat();
    for (program, variables) in [("galley-gateway", &of_gateway), ("galley", &variables)] {
        let said = run(program, &["--check"], variables).await;
        assert_eq!(said.code, 1, "{program}: {said:?}");
        has_line(&said, &["FAILED", "identity provider", &address]);
    }
    server.say(200, r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#);
    let said = run("galley", &["--check"], &variables).await;
    has_line(&said, &["ok", "identity provider", "has 1 keys"]);

    // And where people sign in.
    let issuer = format!("http://127.0.0.1:{}", server.port());
    let sign_in =
        [("GALLEY_JWT_ISSUER", issuer.as_str()), ("GALLEY_OIDC_CLIENT", "galley-dashboard")];
    let variables = [&variables[..], &sign_in].concat();
    let said = run("galley", &["--check"], &variables).await;
    has_line(&said, &["FAILED", "sign-in", &format!("{issuer}/.well-known/openid-configuration")]);
    server.show(&json!({
        "issuer": issuer, "authorization_endpoint": "https://login.example/authorize",
        "token_endpoint": "https://login.example/token",
    }));
    let said = run("galley", &["--check"], &variables).await;
    has_line(&said, &["ok", "sign-in", "leads to https://login.example/authorize"]);
}

#[tokio::test]
async fn the_doctor_asks_the_gateway_as_well() {
    let stack = TestStack::embedded().start().await;
    let said = stack.client().galley(&["doctor"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    has_line(&said, &["ok", "gateway", stack.client().base()]);
    has_line(&said, &["ok", "database", "does not exist yet"]);
    let said = run("galley", &["doctor", "--json"], &[("GALLEY_URL", "http://127.0.0.1:1")]).await;
    let report: Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!(said.code, 1, "{said:?}");
    let gateway = &report["dependencies"][2];
    assert_eq!((&gateway["name"], &gateway["ok"]), (&"gateway".into(), &false.into()));
    let said = run("galley", &["--database-url", "sqlite:///proc/none/a.db", "doctor"], &[]).await;
    assert_eq!(said.code, 1, "{said:?}");
}

#[tokio::test]
async fn a_check_looks_at_the_servers_and_says_what_to_do() {
    let redis = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]).await;
    let stack = TestStack::distributed().gateways(0).workers(0).start().await;
    let variables = [("DATABASE_URL", stack.database_url()), ("REDIS_URL", &redis.url())];
    let said = run("galley-worker", &["--check"], &variables).await;
    assert_eq!(said.code, 0, "advice is no failure: {said:?}");
    for well in ["database version", "database clock", "database rights: all tables", "Redis clock"]
    {
        has_line(&said, &["ok ", well]);
    }
    has_line(&said, &["LOOK", "Redis maxmemory-policy: allkeys-lru", "set it to noeviction"]);
    has_line(&said, &["open files: at most"]);
    // A user that may not look is told what to allow.
    let rules = ["ACL", "SETUSER", "blind", "on", "nopass", "~*", "&*", "+@all", "-info", "-time"];
    redis.ask::<String>(&rules).await;
    let url = redis.url().replace("redis://", "redis://blind:x@");
    let variables = [("DATABASE_URL", stack.database_url()), ("REDIS_URL", &url)];
    let said = run("galley-worker", &["--check"], &variables).await;
    has_line(&said, &["LOOK", "Redis: cannot be looked at", "allow the user INFO and TIME"]);
}
