//! Only pages of allowed origins may use the service, and browsers get the right headers.

use galley_tests::json::{id, text};
use galley_tests::{StackBuilder, TestAnswer, TestClient, TestSocket, TestStack};
use reqwest::Method;
use serde_json::json;

const LISTED: &str = "https://app.example:8443";

/// Origins that are neither the service's own nor listed.
fn evil(client: &TestClient) -> Vec<String> {
    let own = client.base();
    let others = [
        "null",
        "http://evil.example",
        "https://app.example",
        "http://app.example:8443",
        "https://app.example:8443.evil.example",
        "https://evil-app.example:8443",
        "https://APP.example:8443",
        "https://app.example:8443/",
        "http://127.0.0.1",
        "http://localhost:8080",
    ];
    let near = [
        format!("{own}.evil.example"),
        format!("{own}/"),
        format!("{own}0"),
        own.replace("127.0.0.1", "localhost"),
    ];
    others.iter().map(ToString::to_string).chain(near).collect()
}

async fn knock(client: &TestClient, query: &str, origin: &str) -> Result<TestSocket, String> {
    let mut request = client.handshake(query);
    request.headers_mut().insert("origin", origin.try_into().expect("a header"));
    TestSocket::open(request).await.map_err(|error| error.to_string())
}

on_both_deployments!(a_page_of_another_origin_is_refused_before_anything_is_done);
async fn a_page_of_another_origin_is_refused_before_anything_is_done(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack
        .set("GALLEY_ALLOWED_ORIGINS", LISTED)
        .workers(0)
        .delay("1h")
        .start_with_hero_and_meal()
        .await;
    let order = id(&client.place(hero, meal).await);
    let pages = evil(&client);
    for origin in &pages {
        let from = |call: galley_tests::test_client::Call| call.header("Origin", origin);
        for call in [
            client.get("/meals"),
            client.get("/metrics"),
            client.get(&format!("/heroes/{hero}/events")),
            client.get("/nothing"),
            client.place_call(hero, meal),
            // Requests that a form could send without a preflight.
            client.call(Method::POST, &format!("/orders/{order}/cancel")),
            client.delete(&format!("/orders/{order}")),
            client.call(Method::OPTIONS, "/orders").header("Access-Control-Request-Method", "POST"),
        ] {
            let answer = from(call).await;
            assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
            answer.problem(403, "forbidden");
        }
        let refused =
            knock(&client, &format!("?hero_id={hero}"), origin).await.expect_err("a foreign page");
        assert!(refused.contains("403"), "{origin}: {refused}");
    }
    let orders = client.all("/orders").await;
    assert!(orders.len() == 1 && text(&orders[0], "status") != "CANCELLED", "{orders:?}");
    let refused = client.metric("galley_refusals_total{cause=\"foreign-origin\"}").await;
    assert_eq!(refused, u64::try_from(pages.len() * 9).expect("a small number"));
    assert_eq!(client.metric("galley_sockets").await, 0);
}

#[tokio::test]
async fn what_a_page_of_another_site_causes_without_an_origin_is_refused_without_tokens() {
    let (_stack, client, hero, _) = TestStack::embedded().start_with_hero_and_meal().await;
    let from = |call: galley_tests::test_client::Call, site: &str, mode: &str| {
        call.header("Sec-Fetch-Site", site).header("Sec-Fetch-Mode", mode)
    };
    for call in [
        client.get("/meals"),
        client.get("/"),
        client.get(&format!("/heroes/{hero}/events")),
        client.delete(&format!("/heroes/{hero}")),
    ] {
        from(call, "cross-site", "no-cors").await.problem(403, "forbidden");
    }
    let form = client.call(Method::POST, "/orders/1/cancel");
    from(form, "cross-site", "navigate").await.problem(403, "forbidden");
    for (site, mode) in
        [("cross-site", "navigate"), ("same-origin", "no-cors"), ("none", "navigate")]
    {
        assert_eq!(from(client.get("/"), site, mode).await.status, 200, "{site} {mode}");
    }
    let own = from(client.get("/meals"), "cross-site", "cors").header("Origin", client.base());
    assert_eq!(own.await.status, 200);
    let (_stack, guarded, ..) =
        TestStack::embedded().with_tokens().start_with_hero_and_meal().await;
    assert_eq!(from(guarded.get("/meals"), "cross-site", "no-cors").await.status, 200);
}

on_both_deployments!(a_listed_page_may_do_everything);
async fn a_listed_page_may_do_everything(stack: StackBuilder) {
    let listed = format!(" {LISTED} ,http://localhost:5173,");
    let (stack, _, hero, meal) = stack
        .set("GALLEY_ALLOWED_ORIGINS", &listed)
        .with_tokens()
        .workers(0)
        .delay("1h")
        .start_with_hero_and_meal()
        .await;
    let own = stack.hero(hero);
    for origin in [LISTED, "http://localhost:5173"] {
        let asked =
            stack.client().call(Method::OPTIONS, "/orders/7/cancel").header("Origin", origin);
        let asked = asked.header("Access-Control-Request-Method", "POST");
        let told = asked
            .header("Access-Control-Request-Headers", "authorization,content-type,idempotency-key")
            .await;
        assert_eq!((told.status, told.text.as_str()), (204, ""), "a preflight carries no token");
        assert_eq!(told.header("access-control-allow-origin"), origin);
        assert_eq!(told.header("access-control-allow-credentials"), "");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            assert!(told.header("access-control-allow-methods").contains(method), "{told:?}");
        }
        for name in [
            "authorization",
            "content-type",
            "idempotency-key",
            "if-match",
            "if-none-match",
            "last-event-id",
        ] {
            assert!(told.header("access-control-allow-headers").contains(name), "{told:?}");
        }
        let answers = [
            own.place_call(hero, meal).header("Origin", origin).await,
            own.get("/orders").header("Origin", origin).await,
            own.get("/orders/999999").header("Origin", origin).await,
            stack.client().get("/orders").header("Origin", origin).await,
            own.get("/nothing").header("Origin", origin).await,
        ];
        assert_eq!(answers.each_ref().map(|answer| answer.status), [202, 200, 404, 401, 404]);
        for answer in &answers {
            assert_eq!(answer.header("access-control-allow-origin"), origin, "{answer:?}");
            assert!(
                answer.header("access-control-expose-headers").contains("location"),
                "{answer:?}"
            );
        }
        let events = own
            .get(&format!("/heroes/{hero}/events"))
            .header("Origin", origin)
            .listen()
            .await
            .expect("a stream");
        assert_eq!(events.headers["access-control-allow-origin"], origin);
        assert_eq!(knock(&own, "", origin).await.expect("a socket").welcome["hero"]["id"], hero);
    }
    // Pages of the service's own origin need no CORS headers and get none.
    let same = own.get("/orders").header("Origin", own.base()).await;
    assert_eq!((same.status, same.header("access-control-allow-origin")), (200, ""));
    knock(&own, "", own.base()).await.expect("a socket");
}

on_both_deployments!(every_answer_protects_the_browser);
async fn every_answer_protects_the_browser(stack: StackBuilder) {
    let (_stack, client, hero, _) = stack.start_with_hero_and_meal().await;
    let pages = ["/", "/docs/", "/docs/live/", "/docs/swagger-ui-bundle.js"];
    let data = [
        "/meals",
        "/nothing",
        "/openapi.json",
        "/metrics",
        "/healthz",
        &format!("/heroes/{hero}"),
        "/problems/internal",
        "/ws",
    ];
    for path in pages.iter().chain(&data) {
        let answer = client.get(path).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            // Meaningless over plain HTTP; the proxy that terminates TLS sets it.
            ("strict-transport-security", ""),
            ("access-control-allow-origin", ""),
            ("server", ""),
            ("x-powered-by", ""),
        ] {
            assert_eq!(answer.header(name), value, "{path}: {name}");
        }
        // Some answers are in the language of the reader, too.
        let vary = answer.header("vary");
        assert!(["origin", "origin, accept-language"].contains(&vary), "{path}: {vary}");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(
            !policy.contains("unsafe-eval") && !policy.contains('*') && !policy.contains("http"),
            "{path}: {policy}"
        );
    }
    for path in data {
        let answer: TestAnswer = client.get(path).await;
        assert_eq!(
            answer.header("content-security-policy"),
            "default-src 'none'; frame-ancestors 'none'",
            "{path}"
        );
        let kept = if path == "/openapi.json" { "no-cache" } else { "no-store" };
        assert_eq!(answer.header("cache-control"), kept, "{path}");
    }
    let dashboard = client.get("/").await;
    let policy = dashboard.header("content-security-policy");
    assert!(policy.starts_with("default-src 'self'; ") && !policy.contains("unsafe"), "{policy}");
    for part in ["object-src 'none'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    let events = client.listen(&format!("/heroes/{hero}/events")).await;
    assert_eq!(events.headers["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn the_body_of_a_form_is_never_read() {
    let (_stack, client, hero, meal) =
        TestStack::embedded().workers(0).start_with_hero_and_meal().await;
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
    {
        let body = json!({"hero_id": hero, "meal_id": meal}).to_string();
        let form = client.call(Method::POST, "/orders").header("Content-Type", kind).body(body);
        form.await.problem(415, "unsupported-media-type");
    }
}
