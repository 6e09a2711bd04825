//! Messages are exchanged as HTTP/1.1 says (RFC 9110, RFC 9112), in bare bytes.

use galley_tests::raw_connection::RawAnswer;
use galley_tests::{RawConnection, TestStack, within};
use reqwest::Method;
use serde_json::json;

const JSON: &str = "Content-Type: application/json\r\n";
const HERO: &str = r#"{"name":"Zoé","planet":"Earth"}"#;

/// Sends a request with these header lines, and returns the first answer and the connection.
async fn ask(stack: &TestStack, line: &str, headers: &str) -> (RawAnswer, RawConnection) {
    let mut connection = RawConnection::open(&stack.gateways[0].url).await;
    connection.send(format!("{line} HTTP/1.1\r\n{headers}\r\n").as_bytes()).await;
    (connection.answer().await, connection)
}

async fn gone(what: &str, mut connection: RawConnection) {
    within(what, connection.until_gone()).await;
}

#[tokio::test]
async fn a_body_that_would_be_refused_is_not_asked_for() {
    let stack = TestStack::embedded().with_tokens().start().await;
    let token = stack.staff().token().expect("a token").to_owned();
    let head =
        format!("Host: localhost\r\nExpect: 100-continue\r\nAuthorization: Bearer {token}\r\n");
    let no_token = "Host: localhost\r\nExpect: 100-continue\r\n".to_owned();
    let big = format!("{JSON}Content-Length: 10000000\r\n");
    let small = format!("{JSON}Content-Length: {}\r\n", HERO.len());
    let text = "Content-Type: text/plain\r\nContent-Length: 10\r\n";
    for (line, headers, status) in [
        ("POST /heroes", format!("{head}{big}"), 413),
        ("POST /heroes", format!("{head}{text}"), 415),
        ("DELETE /orders/1", format!("{head}{text}"), 415),
        ("POST /nothing", format!("{head}{small}"), 404),
        ("PATCH /heroes", format!("{head}{small}"), 405),
        ("POST /heroes", format!("{no_token}{small}"), 401),
        ("POST /heroes", format!("{head}{small}").replace("100-continue", "a miracle"), 417),
        ("POST /heroes", format!("{head}{small}Expect: 200-ok\r\n"), 417),
    ] {
        let (answer, connection) = ask(&stack, line, &headers).await;
        assert_eq!(answer.status, status, "{line}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        if status != 417 {
            gone("the end, since the body may come or not", connection).await;
        }
    }
    let (answer, mut connection) = ask(&stack, "POST /heroes", &format!("{head}{small}")).await;
    assert_eq!(answer.status, 100, "{answer:?}");
    connection.send(HERO.as_bytes()).await;
    assert_eq!(connection.answer().await.status, 201);
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_still_sends() {
    let stack = TestStack::embedded().with_tokens().start().await;
    let staff = format!("Authorization: Bearer {}\r\n", stack.staff().token().expect("a token"));
    let body = vec![b' '; 3_000_000];
    for (token, length, status) in [
        (&*staff, "Content-Length: 3000000", 413),
        ("", "Content-Length: 3000000", 401),
        (&staff, "Transfer-Encoding: chunked", 413),
    ] {
        for _ in 0..8 {
            let mut connection = RawConnection::open(&stack.gateways[0].url).await;
            let head = format!(
                "POST /heroes HTTP/1.1\r\nHost: localhost\r\n{token}{JSON}{length}\r\n\r\n2dc6c0\r\n"
            );
            let head =
                if length.starts_with('T') { &*head } else { head.trim_end_matches("2dc6c0\r\n") };
            connection.send(&[head.as_bytes(), &body].concat()).await;
            let answer = connection.answer().await;
            assert_eq!(answer.status, status, "{answer:?}");
            assert_eq!(answer.header("connection"), Some("close"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_request_names_one_host() {
    let stack = TestStack::embedded().start().await;
    for good in ["Host: localhost", "host:127.0.0.1:8080", "Host: [::1]:80"] {
        assert_eq!(ask(&stack, "GET /healthz", &format!("{good}\r\n")).await.0.status, 200);
    }
    for wrong in [
        "",
        "Host:\r\n",
        "Host: localhost\r\nHost: localhost\r\n",
        "Host: a/b\r\n",
        "Host: a b\r\n",
        "Host: me@localhost\r\n",
        "Host: localhost:port\r\n",
        "Host: [::1\r\n",
    ] {
        for path in ["GET /healthz", "GET /", "POST /orders", "GET /nothing"] {
            let (answer, connection) = ask(&stack, path, wrong).await;
            assert_eq!(answer.status, 400, "{wrong:?}: {answer:?}");
            assert_eq!(answer.json()["type"], "/problems/bad-request");
            gone("the end", connection).await;
        }
    }
    let mut old = RawConnection::open(&stack.gateways[0].url).await;
    old.send(b"GET /healthz HTTP/1.0\r\n\r\n").await;
    assert_eq!(old.answer().await.status, 200, "HTTP/1.0 has no `Host`");
}

#[tokio::test]
async fn a_request_of_two_lengths_is_refused_and_nothing_behind_it_is_read() {
    let stack = TestStack::embedded().start().await;
    let behind = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for lengths in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "transfer-encoding: CHUNKED\r\nX: y\r\ncontent-length: 0\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: 4, 4\r\n",
        "Content-Length : 4\r\n",
    ] {
        let head = format!("Host: localhost\r\n{JSON}{lengths}\r\n0\r\n\r\n{behind}");
        let (answer, mut connection) =
            ask(&stack, "POST /heroes", head.trim_end_matches("\r\n")).await;
        assert_eq!(answer.status, 400, "{lengths:?}: {answer:?}");
        assert_eq!(within("the end", connection.frame()).await, None, "{lengths:?}");
    }
}

#[tokio::test]
async fn every_path_says_what_it_takes() {
    let stack = TestStack::embedded().start().await;
    let client = stack.client();
    for (path, methods) in [
        ("/", "GET HEAD OPTIONS"),
        ("/heroes", "GET HEAD POST OPTIONS"),
        ("/heroes/1", "GET HEAD PUT PATCH DELETE OPTIONS"),
        ("/meals/1", "GET HEAD PUT PATCH DELETE OPTIONS"),
        ("/heroes/1/orders", "GET HEAD OPTIONS"),
        ("/orders", "GET HEAD POST OPTIONS"),
        ("/orders/1", "GET HEAD DELETE OPTIONS"),
        ("/orders/1/cancel", "POST OPTIONS"),
        ("/healthz", "GET HEAD OPTIONS"),
        ("/metrics", "GET HEAD OPTIONS"),
        ("/openapi.json", "GET HEAD OPTIONS"),
        ("/docs/", "GET HEAD OPTIONS"),
        ("/docs/live/", "GET HEAD OPTIONS"),
        ("/assets/icon.svg", "GET HEAD OPTIONS"),
        ("/problems/not-found", "GET HEAD OPTIONS"),
        ("/events", "GET HEAD OPTIONS"),
        ("/ws", "GET OPTIONS"),
    ] {
        let answer = client.call(Method::OPTIONS, path).await;
        assert_eq!((answer.status, &*answer.text), (204, ""), "{path}");
        let sorted = |text: &str, by: char| {
            let mut names: Vec<String> =
                text.split(by).map(|name| name.trim().to_owned()).collect();
            names.sort();
            names
        };
        assert_eq!(sorted(answer.header("allow"), ','), sorted(methods, ' '), "{path}");
        if path != "/ws" {
            let refused = client.call(Method::from_bytes(b"BREW").expect("a method"), path).await;
            assert_eq!(refused.header("allow"), answer.header("allow"), "{path}");
            refused.problem(405, "method-not-allowed");
        }
    }
    client.call(Method::OPTIONS, "/nothing").await.problem(404, "not-found");
    let (all, _) = ask(&stack, "OPTIONS *", "Host: localhost\r\n").await;
    assert_eq!(all.status, 204, "{all:?}");
}

#[tokio::test]
async fn a_challenge_says_what_was_wrong_with_a_token() {
    let stack = TestStack::embedded().with_tokens().start().await;
    let hero = stack.staff().create_hero("Zoé", &[]).await;
    let anybody = galley_tests::TestClient::new(stack.staff().base());
    let challenge = async |client: &galley_tests::TestClient, status| {
        let answer = client.get("/heroes").await;
        assert_eq!(answer.status, status, "{}", answer.text);
        answer.header("www-authenticate").to_owned()
    };
    assert_eq!(challenge(&anybody, 401).await, "Bearer realm=\"galley\"");
    let bad = challenge(&anybody.with_token("a.b.c"), 401).await;
    assert!(
        bad.starts_with("Bearer realm=\"galley\", error=\"invalid_token\", error_description=\""),
        "{bad}"
    );
    let forbidden = challenge(&stack.hero(hero), 403).await;
    assert_eq!(forbidden, "Bearer realm=\"galley\", error=\"insufficient_scope\"");
}

on_both_deployments!(a_resource_may_be_put_back_as_it_was_read);
async fn a_resource_may_be_put_back_as_it_was_read(stack: galley_tests::StackBuilder) {
    let (_stack, client, hero, meal) = stack.start_with_hero_and_meal().await;
    for path in [format!("/heroes/{hero}"), format!("/meals/{meal}")] {
        let mut read = client.get(&path).await.is(200);
        let stale = read.clone();
        read["name"] = json!("Changed");
        let changed = client.put(&path, &read).await.is(200);
        assert_eq!((&changed["name"], &changed["version"]), (&json!("Changed"), &json!(2)));
        let same = client.patch(&path, &changed).header("if-match", "\"1\", \"2\"").await.is(200);
        assert_eq!(same["version"], 3);

        let refused = client.put(&path, &stale).await.problem(422, "validation-failed");
        assert_eq!(refused["errors"][0]["pointer"], "#/version");
        for (field, value) in [
            ("id", json!(999)),
            ("id", json!("1")),
            ("version", json!(9)),
            ("version", json!("3")),
            ("version", json!(null)),
        ] {
            let mut wrong = same.clone();
            wrong[field] = value;
            let refused = client.patch(&path, &wrong).await.problem(422, "validation-failed");
            assert_eq!(refused["errors"][0]["pointer"], format!("#/{field}"));
        }
        client
            .put(&path, &same)
            .header("if-match", "\"9\"")
            .await
            .problem(422, "validation-failed");
        let stale_guard = client.put(&path, &stale).header("if-match", "\"1\"").await;
        stale_guard.problem(412, "version-mismatch");
        assert_eq!(client.get(&path).await.is(200), same, "nothing was changed");
    }
    let new = json!({"id": 1, "name": "Zoé", "planet": "Earth"});
    client.post("/heroes", &new).await.problem(422, "validation-failed");
}
