//! How the dashboard learns where people sign in, and who a caller is. The dashboard itself is
//! tested in a browser, with a real provider (`tests/browser/sign_in.test.js`).

use std::fs;

use galley_tests::json::text;
use galley_tests::key_server::KeyServer;
use galley_tests::program::Signal;
use galley_tests::{TestClient, TestStack, until};
use serde_json::{Value, json};

const KEYS: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

async fn policy(gateway: &TestClient) -> String {
    gateway.get("/").await.header("content-security-policy").to_owned()
}

fn document(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": "https://login.example/authorize",
        "token_endpoint": "https://tokens.example/token?a=b",
        "end_session_endpoint": "https://login.example/logout",
        "jwks_uri": "https://login.example/keys",
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
    })
}

#[tokio::test]
async fn pages_learn_where_people_sign_in_and_may_ask_for_tokens_there_alone() {
    let (server, folder) = (KeyServer::start().await, tempfile::tempdir().expect("a folder"));
    let (keys, issuer) =
        (folder.path().join("keys.json"), format!("http://127.0.0.1:{}", server.port()));
    fs::write(&keys, KEYS).expect("a file");
    let mut stack = TestStack::embedded()
        .with_tokens()
        .workers(0)
        .set("GALLEY_JWT_JWKS", &keys.display().to_string())
        .set("GALLEY_JWT_ISSUER", &issuer)
        .set("GALLEY_JWT_AUDIENCE", "https://galley.example/")
        .set("GALLEY_OIDC_CLIENT", "galley-dashboard")
        .set("GALLEY_OIDC_SCOPE", "openid profile")
        .start()
        .await;
    let gateway = stack.client();
    let away = gateway.get("/sign-in").await.is(200);
    assert_eq!(
        away["provider"],
        json!({
            "issuer": issuer, "client_id": "galley-dashboard", "scope": "openid profile",
            "resource": "https://galley.example/",
        })
    );
    assert!(away["endpoints"].is_null() && away["tokens"]["issuer"] == json!(issuer), "{away}");
    assert!(policy(&gateway).await.ends_with(&format!("; connect-src 'self' {issuer}")));

    server.show(&document(&issuer));
    let known = async || {
        let endpoints = gateway.get("/sign-in").await.is(200)["endpoints"].clone();
        (!endpoints.is_null()).then_some(endpoints)
    };
    let endpoints = until("the provider is back", known).await;
    assert_eq!(text(&endpoints, "authorization_endpoint"), "https://login.example/authorize");
    assert_eq!(endpoints["id_token_signing_alg_values_supported"], json!(["RS256", "ES256"]));
    assert!(policy(&gateway).await.ends_with("; connect-src 'self' https://tokens.example"));

    // Of another issuer, too large, or away: the known ones stay. The log has one line a second.
    server.say(200, &document("https://other.example").to_string());
    let told = "it is of the issuer \\\"https://other.example";
    let is_told = async || {
        stack.gateways[0].program.signal(Signal::HUP);
        stack.gateways[0].program.log().contains(told).then_some(())
    };
    until(told, is_told).await;
    assert_eq!(gateway.get("/sign-in").await.is(200)["endpoints"], endpoints);
    for wrong in [Some(" ".repeat(300_000)), None] {
        let before = server.requests();
        wrong.map_or_else(|| server.go_away(), |wrong| server.say(200, &wrong));
        stack.gateways[0].program.signal(Signal::HUP);
        until("a read", async || (server.requests() > before).then_some(())).await;
        assert_eq!(gateway.get("/sign-in").await.is(200)["endpoints"], endpoints);
    }
}

#[tokio::test]
async fn a_caller_learns_who_it_is_and_nobody_else_does() {
    let (stack, staff, hero, _) =
        TestStack::embedded().with_tokens().workers(0).start_with_hero_and_meal().await;
    let how = stack.client().get("/sign-in").await.is(200);
    assert!(how["provider"].is_null() && how["endpoints"].is_null(), "{how}");
    assert_eq!(how["tokens"]["algorithms"], json!(["HS256"]));
    assert!(!policy(&stack.client()).await.contains("connect-src"));
    let own = stack.hero(hero).get("/me").await.is(200);
    assert_eq!((text(&own, "role"), &own["hero_id"]), ("hero", &json!(hero)));
    assert!(own["expires"].is_string() && own["subject"].is_null(), "{own}");
    assert_eq!(text(&staff.get("/me").await.is(200), "role"), "staff");
    stack.client().get("/me").await.problem(401, "unauthorized");

    let open = TestStack::embedded().start().await;
    assert_eq!(open.client().get("/sign-in").await.is(200), json!({}));
    assert_eq!(open.client().get("/me").await.is(200), json!({"role": "anybody"}));
}

#[tokio::test]
async fn settings_of_signing_in_that_cannot_work_are_refused() {
    let issuer = ("GALLEY_JWT_ISSUER", "https://login.example");
    let keys = ("GALLEY_JWT_JWKS", "https://login.example/keys");
    let (jwt, client) = (("GALLEY_AUTH", "jwt"), ("GALLEY_OIDC_CLIENT", "galley-dashboard"));
    let secret = ("GALLEY_JWT_SECRET", galley_tests::signed_token::SECRET);
    let other = |issuer| ("GALLEY_JWT_ISSUER", issuer);
    for (settings, part) in [
        (vec![client], "GALLEY_AUTH=jwt"),
        (vec![client, issuer, keys], "GALLEY_AUTH=jwt"),
        (vec![client, jwt, secret], "GALLEY_JWT_ISSUER"),
        (vec![client, jwt, secret, issuer], "GALLEY_JWT_JWKS"),
        (vec![client, jwt, keys, other("login")], "is no address"),
        (vec![client, jwt, keys, other("http://login.example")], "https://"),
        (vec![client, jwt, keys, other("https://login.example/?a=b")], "neither query"),
        (vec![jwt, keys, issuer, ("GALLEY_OIDC_SCOPE", "openid")], "needs GALLEY_OIDC_CLIENT"),
        (vec![client, jwt, keys, issuer, ("GALLEY_OIDC_SCOPE", "profile")], "must name openid"),
    ] {
        for arguments in [&[][..], &["--check"]] {
            let said = galley_tests::command_output::run("galley", arguments, &settings).await;
            assert!(said.code == 2 && said.stderr.contains(part), "{settings:?}: {said:?}");
        }
    }
}
