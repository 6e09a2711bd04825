//! The configurations in `docs/proxies.md`, in front of a gateway under a path: with TLS and
//! HTTP/2, sockets, event streams, and the address of the caller.

use std::process::Command;

use galley_tests::program::command;
use galley_tests::{Balancer, TestProgram, TestStack};

const ORIGIN: &str = "Origin: https://localhost";

/// Starts curl over TLS from 127.0.0.2, which shows the headers, and trusts the balancer.
fn curl(balancer: &Balancer, arguments: &[&str], path: &str) -> TestProgram {
    let mut curl: Command = command("curl");
    curl.args(["--silent", "--show-error", "--include", "--no-buffer", "--ipv4"])
        .args(["--max-time", "20", "--interface", "127.0.0.2", "--cacert"])
        .arg(balancer.authority())
        .args(arguments)
        .arg(format!("{}{path}", balancer.secure));
    TestProgram::start("curl", &mut curl)
}

/// Returns what curl printed until its end.
async fn printed(mut curl: TestProgram) -> String {
    assert!(curl.exit().await.success(), "{}", curl.log());
    curl.log()
}

async fn check(start: impl AsyncFnOnce(&TestStack) -> Balancer) {
    let stack = TestStack::embedded()
        .set("GALLEY_BASE_PATH", "/galley")
        .set("GALLEY_TRUSTED_PROXIES", "127.0.0.1")
        .set("GALLEY_LOG", "info,galley_gateway::web=debug")
        .set("GALLEY_LOG_FORMAT", "json");
    let mut stack = stack.start().await;
    let balancer = start(&stack).await;
    let port = balancer.secure.split([':', '/']).nth(4).expect("a port").to_owned();
    let own = format!("{ORIGIN}:{port}");

    let page = printed(curl(&balancer, &["--http2"], "/")).await;
    assert!(page.starts_with("HTTP/2 200") && page.contains("\"./assets/"), "{page}");
    let json = ["--http2", "--header", &own, "--json"];
    let hero = r#"{"name":"Ada","planet":"Earth"}"#;
    let hero = printed(curl(&balancer, &[&json[..], &[hero]].concat(), "/heroes")).await;
    assert!(hero.contains("HTTP/2 201") && hero.contains("location: /galley/heroes/1"), "{hero}");
    // The streams stay open: their first events must come without more behind them.
    let stream = ["--http2", "--header", "Accept: text/event-stream"];
    let mut events = curl(&balancer, &stream, "/heroes/1/events");
    events.line("event: welcome").await;
    let mut upgrade = vec!["--http1.1", "--header", &own];
    for header in [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ] {
        upgrade.extend(["--header", header]);
    }
    let mut socket = curl(&balancer, &upgrade, "/ws?hero_id=1");
    socket.line("101 Switching Protocols").await;

    // A forged address does not get through, and no foreign page does.
    let foreign = ["--http2", "--header", "Origin: https://evil.example"];
    let forged = ["--header", "X-Forwarded-For: 6.6.6.6", "--header", "Forwarded: for=6.6.6.6"];
    let refused = printed(curl(&balancer, &[&foreign[..], &forged].concat(), "/meals")).await;
    assert!(refused.contains("HTTP/2 403"), "{refused}");
    let line = stack.gateways[0].program.line("foreign-origin").await;
    assert!(line.contains("\"address\":\"127.0.0.2\""), "{line}");
}

#[tokio::test]
async fn nginx_passes_everything_on_as_documented() {
    check(async |stack| Balancer::nginx(stack, "least_conn").await).await;
}

#[tokio::test]
async fn haproxy_passes_everything_on_as_documented() {
    check(async |stack| Balancer::haproxy(stack, "leastconn").await).await;
}

#[tokio::test]
async fn caddy_passes_everything_on_as_documented() {
    check(async |stack| Balancer::caddy(stack, "least_conn").await).await;
}
