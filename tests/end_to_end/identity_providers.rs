//! Tokens of an identity provider: which are taken, and what happens when its keys change, or when
//! it is away.

use std::fs;

use galley_tests::foreign_tokens::ForeignTokens;
use galley_tests::json::text;
use galley_tests::key_server::KeyServer;
use galley_tests::program::Signal;
use galley_tests::tls_front::TlsFront;
use galley_tests::{
    StackBuilder, TestAuthority, TestClient, TestSocket, TestStack, signed_token, until,
};
use serde_json::{Value, json};

const ISSUER: &str = "https://provider.example/realms/heroes";

fn claims(changes: &Value) -> Value {
    let now = signed_token::now();
    let mut claims = json!({
        "iss": ISSUER, "aud": ["galley", "other"], "sub": "ada", "iat": now, "exp": now + 3_600,
        "realm_access": {"roles": ["offline_access", "staff"]},
    });
    for (name, value) in changes.as_object().expect("claims") {
        claims[name] = value.clone();
    }
    claims
}

fn with_provider(stack: StackBuilder, keys: &str) -> StackBuilder {
    stack
        .with_tokens()
        .set("GALLEY_JWT_JWKS", keys)
        .set("GALLEY_JWT_ISSUER", ISSUER)
        .set("GALLEY_JWT_HERO_CLAIM", "galley.hero")
        .set("GALLEY_JWT_ROLE_CLAIM", "realm_access.roles")
        .delay("0s")
        .workers(0)
}

/// Tokens of each kind of key, and of one key with each kind of mistake.
fn tokens() -> ForeignTokens {
    let now = signed_token::now();
    let by = |key: &str, changes: Value| json!({"key": key, "claims": claims(&changes)});
    let headed = |key: &str, headers: Value| json!({"key": key, "claims": claims(&json!({})), "headers": headers});
    ForeignTokens::make(&json!({
        "keys": {
            "rsa": "RS256", "ec": "ES256", "ed": "EdDSA", "other": "RS256",
            "pss": "PS256", "p384": "ES384", "short": "RS256 of 1024 bits",
        },
        "tokens": {
            "RS256": by("rsa", json!({})),
            "ES256": by("ec", json!({})),
            "EdDSA": by("ed", json!({})),
            "access token": headed("ed", json!({"typ": "at+jwt"})),
            "the only key": headed("ec", json!({"kid": null})),
            "hero": by("ec", json!({
                "realm_access": {"roles": ["hero"]}, "galley": {"hero": 1}, "sub": "f3a0",
            })),
            "of another issuer": by("rsa", json!({"iss": "https://provider.example/realms/other"})),
            "of no issuer": by("rsa", json!({"iss": null})),
            "for others": by("rsa", json!({"aud": "other"})),
            "for nobody": by("rsa", json!({"aud": []})),
            "expired": by("rsa", json!({"exp": now - 10})),
            "too long": by("rsa", json!({"exp": now + 90_000})),
            "of the future": by("rsa", json!({"iat": now + 600})),
            "of no role": by("rsa", json!({"realm_access": {"roles": ["guest"]}})),
            "of no hero": by("rsa", json!({"realm_access": {"roles": ["hero"]}})),
            "for the end of a session": headed("rsa", json!({"typ": "logout+jwt"})),
            "of an unknown key": by("other", json!({})),
            "in another's name": headed("other", json!({"kid": "rsa"})),
            "of another kind of key": headed("ec", json!({"kid": "rsa"})),
            "PS256": by("pss", json!({})),
            "ES384": by("p384", json!({})),
            "of a short key": by("short", json!({})),
        },
    }))
}

const GOOD: [&str; 5] = ["RS256", "ES256", "EdDSA", "access token", "the only key"];
const BAD: [&str; 16] = [
    "of another issuer",
    "of no issuer",
    "for others",
    "for nobody",
    "expired",
    "too long",
    "of the future",
    "of no role",
    "of no hero",
    "for the end of a session",
    "of an unknown key",
    "in another's name",
    "of another kind of key",
    "PS256",
    "ES384",
    "of a short key",
];

#[tokio::test]
async fn tokens_of_each_kind_of_key_are_taken_and_no_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.json");
    let tokens = tokens();
    let set = tokens.key_set(&["short", "rsa", "ec", "ed", "pss", "p384"]);
    fs::write(&file, set.to_string()).expect("a file");
    let place = file.display().to_string();
    let stack = with_provider(TestStack::embedded(), &place).seeded().start().await;
    for good in GOOD {
        let staff = stack.client().with_token(tokens.token(good));
        assert_eq!(staff.get("/orders").await.status, 200, "{good}");
        staff.connect_with("").await.reply(json!({"type": "menu"})).await;
    }
    let hero = stack.client().with_token(tokens.token("hero"));
    assert_eq!(hero.get("/orders?hero_id=1").await.status, 200);
    hero.get("/heroes/2/events").await.problem(404, "hero-not-found");
    // The public key is no secret, so what is signed with it as a secret proves nothing.
    let modulus = set["keys"][1]["n"].as_str().expect("a modulus");
    let forged = [
        signed_token::sign_with(
            modulus,
            &json!({"alg": "HS256", "kid": "rsa"}),
            &claims(&json!({})),
        ),
        signed_token::sign_with(
            modulus,
            &json!({"alg": "RS256", "kid": "rsa"}),
            &claims(&json!({})),
        ),
    ];
    let bad = BAD.iter().map(|name| tokens.token(name)).chain(forged.iter().map(String::as_str));
    for token in bad {
        let answer = stack.client().with_token(token).get("/orders").await;
        assert!(answer.header("www-authenticate").contains("invalid_token"), "{answer:?}");
        answer.problem(401, "unauthorized");
    }
    let said = stack.client().with_token(tokens.token("for others")).get("/orders").await;
    let said = said.problem(401, "unauthorized");
    for part in ["HS256, RS256, ES256 or EdDSA", ISSUER, "`aud` names galley", "realm_access.roles"]
    {
        assert!(text(&said, "detail").contains(part), "{said}");
    }
    // The own secret signs tokens of the same issuer, for scripts.
    let own = signed_token::sign(signed_token::SECRET, &claims(&json!({})));
    assert_eq!(stack.client().with_token(&own).get("/orders").await.status, 200);
}

async fn status(gateway: &TestClient, token: &str) -> u16 {
    gateway.with_token(token).get("/orders").await.status
}

on_both_deployments!(keys_that_change_cut_nobody_off);
async fn keys_that_change_cut_nobody_off(stack: StackBuilder) {
    let (server, tokens) = (KeyServer::start().await, tokens());
    server.show(&tokens.key_set(&["rsa"]));
    let stack = with_provider(stack, &server.address()).start().await;
    let gateway = stack.client();
    let mut socket = gateway.with_token(tokens.token("RS256")).connect_with("").await;
    server.show(&tokens.key_set(&["ec"]));
    let renewed = async || (status(&gateway, tokens.token("ES256")).await == 200).then_some(());
    until("the new key, asked for by its first token", renewed).await;
    assert_eq!(status(&gateway, tokens.token("RS256")).await, 401, "its key is gone");
    socket.reply(json!({"type": "menu"})).await;
    socket.say(&json!({"type": "auth", "id": 1, "token": tokens.token("ES256")}).to_string()).await;
    assert_eq!(socket.next().await["authenticated"], json!(true), "the socket goes on with it");
    // Tokens of strangers ask the provider no more than every five seconds.
    let before = server.requests();
    for _ in 0..20 {
        assert_eq!(status(&gateway, tokens.token("of an unknown key")).await, 401);
    }
    assert!(server.requests() <= before + 2, "{} {before}", server.requests());
}

#[tokio::test]
async fn a_provider_that_is_away_lets_nobody_in_and_turns_nobody_out() {
    let (server, tokens) = (KeyServer::start().await, tokens());
    let mut stack = with_provider(TestStack::embedded(), &server.address()).start().await;
    let gateway = stack.client();
    let away = gateway.with_token(tokens.token("RS256"));
    let answer = away.get("/orders").await;
    assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
    answer.problem(503, "overloaded");
    assert_eq!(away.refused("").await.0, 503);
    let mut late = TestSocket::knock(gateway.handshake("")).await.expect("an open socket");
    late.say(&json!({"type": "auth", "token": tokens.token("RS256")}).to_string()).await;
    assert_eq!(text(&late.next().await["problem"], "type"), "/problems/overloaded");
    assert_eq!(late.close_code().await, 1013);
    server.show(&tokens.key_set(&["rsa"]));
    let back = async || (status(&gateway, tokens.token("RS256")).await == 200).then_some(());
    until("the provider's keys", back).await;
    let mut socket = gateway.with_token(tokens.token("RS256")).connect_with("").await;
    for (answer, body) in [
        (500, "{}".to_owned()),
        (200, "<html>".to_owned()),
        (200, r#"{"keys":[]}"#.to_owned()),
        (200, " ".repeat(300_000)),
    ] {
        let before = server.requests();
        server.say(answer, &body);
        stack.gateways[0].program.signal(Signal::HUP);
        until("a read", async || (server.requests() > before).then_some(())).await;
        assert_eq!(status(&gateway, tokens.token("RS256")).await, 200, "the known keys stay");
    }
    server.go_away();
    stack.gateways[0].program.signal(Signal::HUP);
    let unknown = async || (status(&gateway, tokens.token("ES256")).await == 503).then_some(());
    until("a token that cannot be judged", unknown).await;
    socket.say(&json!({"type": "auth", "id": 1, "token": tokens.token("ES256")}).to_string()).await;
    assert_eq!(text(&socket.next().await["problem"], "type"), "/problems/overloaded");
    socket.reply(json!({"type": "menu"})).await;
    assert_eq!(status(&gateway, tokens.token("RS256")).await, 200);
}

#[tokio::test]
async fn keys_come_over_tls_from_an_authority_of_the_system_only() {
    let (server, tokens, authority) = (KeyServer::start().await, tokens(), TestAuthority::new());
    server.show(&tokens.key_set(&["rsa"]));
    let front = TlsFront::start(&authority.server(&["localhost"]), server.port()).await;
    let address = format!("https://localhost:{}/keys", front.port());
    let stack = with_provider(TestStack::embedded(), &address)
        .set("SSL_CERT_FILE", &authority.certificate().display().to_string())
        .start()
        .await;
    until("the keys", async || {
        (status(&stack.client(), tokens.token("RS256")).await == 200).then_some(())
    })
    .await;
    let other = TestAuthority::new();
    let stack = with_provider(TestStack::embedded(), &address)
        .set("SSL_CERT_FILE", &other.certificate().display().to_string())
        .start()
        .await;
    assert_eq!(status(&stack.client(), tokens.token("RS256")).await, 503);
    let log = stack.gateways[0].program.log();
    assert!(log.contains("cannot read the keys of https://localhost"), "{log}");
}

#[tokio::test]
async fn settings_that_would_let_strangers_in_are_refused() {
    let jwt = ("GALLEY_AUTH", "jwt");
    let issuer = ("GALLEY_JWT_ISSUER", ISSUER);
    for (settings, part) in [
        (vec![("GALLEY_JWT_JWKS", "https://provider.example/keys")], "GALLEY_JWT_ISSUER"),
        (vec![issuer, ("GALLEY_JWT_JWKS", "http://provider.example/keys")], "https://"),
        (vec![issuer, ("GALLEY_JWT_JWKS", "ftp://127.0.0.1/keys")], "https://"),
        (vec![issuer, ("GALLEY_JWT_JWKS", "https://")], "--jwt-jwks"),
        (vec![issuer], "keys are needed"),
        (vec![("GALLEY_JWT_ROLE_CLAIM", "a..b")], "GALLEY_JWT_ROLE_CLAIM"),
        (vec![("GALLEY_JWT_MAX_AGE", "0s")], "GALLEY_JWT_MAX_AGE"),
    ] {
        let settings = [&settings[..], &[jwt]].concat();
        let said = galley_tests::command_output::run("galley", &[], &settings).await;
        assert!(said.code == 2 && said.stderr.contains(part), "{settings:?}: {said:?}");
    }
}
