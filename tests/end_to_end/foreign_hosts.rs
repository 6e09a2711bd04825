//! A gateway without tokens answers no host whose name could be made to lead to it, as a page does
//! that rebinds its own name.

use galley_tests::raw_connection::UPGRADE;
use galley_tests::{RawConnection, StackBuilder, TestStack};

/// Asks with a `Host`; returns the status, and the body of an error.
async fn ask(stack: &TestStack, host: &str, path: &str) -> (u16, String) {
    let mut connection = RawConnection::open(&stack.gateways[0].url).await;
    let upgrade = if path.starts_with("/ws") { UPGRADE } else { "" };
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n{upgrade}\r\n");
    connection.send(request.as_bytes()).await;
    let answer = connection.answer().await;
    (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
}

on_both_deployments!(a_name_that_could_be_rebound_is_refused);
async fn a_name_that_could_be_rebound_is_refused(stack: StackBuilder) {
    let (stack, client, hero, _) = stack.start_with_hero_and_meal().await;
    let paths = [
        "/",
        "/docs/",
        "/meals",
        "/nothing",
        "/metrics",
        "/events",
        &format!("/heroes/{hero}/events"),
        &format!("/ws?hero_id={hero}"),
    ];
    for path in paths {
        let (status, body) = ask(&stack, "evil.test:8080", path).await;
        assert_eq!(status, 421, "{path}: {body}");
        assert!(body.contains("/problems/misdirected-request"), "{path}: {body}");
        assert!(body.contains("GALLEY_ALLOWED_HOSTS"), "{path}: {body}");
    }
    let refused = client.metric("galley_refusals_total{cause=\"foreign-host\"}").await;
    assert_eq!(refused, paths.len() as u64);
    for health in ["/healthz", "/readyz"] {
        assert_eq!(ask(&stack, "evil.test", health).await.0, 200, "{health}");
    }
    for own in ["localhost:8080", "LOCALHOST", "app.localhost", "127.0.0.1", "[::1]:9", "10.0.0.7"]
    {
        assert_eq!(ask(&stack, own, "/meals").await.0, 200, "{own}");
    }
    for evil in ["localhost.evil.test", "127.0.0.1.evil.test", "0x7f.1", "galley"] {
        assert_eq!(ask(&stack, evil, "/meals").await.0, 421, "{evil}");
    }
    let absolute = "http://evil.test/meals";
    assert_eq!(ask(&stack, "localhost", absolute).await.0, 421, "the target comes first");
}

#[tokio::test]
async fn listed_names_are_answered_and_with_tokens_any() {
    let listed = TestStack::embedded().set("GALLEY_ALLOWED_HOSTS", "Shop.example, *.org.example");
    let listed = listed.start().await;
    for (host, status) in [
        ("shop.example", 200),
        ("SHOP.example.:81", 200),
        ("a.b.org.example", 200),
        ("org.example", 421),
        ("a.shop.example", 421),
        ("evil.test", 421),
        ("127.0.0.1", 200),
    ] {
        assert_eq!(ask(&listed, host, "/meals").await.0, status, "{host}");
    }
    let with_tokens = TestStack::embedded().with_tokens().start().await;
    assert_eq!(ask(&with_tokens, "evil.test", "/meals").await.0, 401);
    assert_eq!(ask(&with_tokens, "evil.test", "/").await.0, 200);
    let both = TestStack::embedded().with_tokens().set("GALLEY_ALLOWED_HOSTS", "shop.example");
    let both = both.start().await;
    assert_eq!(ask(&both, "evil.test", "/meals").await.0, 421);
    assert_eq!(ask(&both, "shop.example", "/meals").await.0, 401);
}
