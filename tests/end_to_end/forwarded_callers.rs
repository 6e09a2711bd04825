//! The caller that trusted proxies name counts for limits, logs and origins; anybody else's word
//! does not.

use std::net::Ipv4Addr;

use galley_tests::json::text;
use galley_tests::raw_connection::{RawAnswer, UPGRADE};
use galley_tests::{RawConnection, StackBuilder, TestSocket, TestStack, signed_token};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::handshake::client::Request;

const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const INNER: &str = "10.1.2.3";
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

fn trusting() -> StackBuilder {
    TestStack::embedded()
        .set("GALLEY_TRUSTED_PROXIES", "127.0.0.2, 10.0.0.0/8")
        .set("GALLEY_MAX_SOCKETS_PER_IP", "1")
        .set("GALLEY_LOG_FORMAT", "json")
}

/// Sends a handshake with more headers from an address; the connection stays open.
async fn knock(stack: &TestStack, from: Ipv4Addr, headers: &str) -> (RawConnection, RawAnswer) {
    let mut connection = RawConnection::open_from(&stack.gateways[0].url, from).await;
    let request = format!("GET /ws HTTP/1.1\r\nHost: localhost\r\n{headers}{UPGRADE}\r\n");
    connection.send(request.as_bytes()).await;
    let answer = connection.answer().await;
    (connection, answer)
}

#[tokio::test]
async fn the_caller_is_whom_a_trusted_proxy_names() {
    let stack = trusting().start().await;
    let mut open = Vec::new();
    for (from, headers, status) in [
        (PROXY, "X-Forwarded-For: 192.0.2.1\r\n", 101),
        (PROXY, "X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\n", 429),
        (PROXY, &format!("X-Forwarded-For: 192.0.2.1, {INNER}\r\n"), 429),
        (PROXY, "Forwarded: for=192.0.2.1\r\n", 429),
        (PROXY, "Forwarded: for=\"[2001:db8::1]:4711\";proto=https\r\n", 101),
        (PROXY, "X-Forwarded-For: 2001:db8::2\r\n", 429),
        // The proxy itself: by name, by nothing that can be read, by two that contradict.
        (PROXY, "", 101),
        (PROXY, "X-Forwarded-For: garbage\r\n", 429),
        (PROXY, "X-Forwarded-For: 192.0.2.7\r\nForwarded: for=192.0.2.8\r\n", 429),
        (OTHER, "X-Forwarded-For: 192.0.2.20\r\n", 101),
        (OTHER, "X-Forwarded-For: 192.0.2.21\r\n", 429),
        (OTHER, "Forwarded: for=192.0.2.22\r\n", 429),
    ] {
        let (connection, answer) = knock(&stack, from, headers).await;
        assert_eq!(answer.status, status, "{from} {headers}: {answer:?}");
        open.push(connection);
    }
}

#[tokio::test]
async fn the_log_names_the_caller_and_not_the_proxy() {
    let mut stack = trusting().start().await;
    let evil = "Origin: http://evil.test\r\n";
    let headers = format!("{evil}X-Forwarded-For: 192.0.2.1\r\n");
    assert_eq!(knock(&stack, PROXY, &headers).await.1.status, 403);
    let line = stack.gateways[0].program.line("foreign-origin").await;
    assert!(line.contains("\"address\":\"192.0.2.1\""), "{line}");
}

#[tokio::test]
async fn a_page_behind_a_trusted_proxy_has_the_origin_that_the_proxy_names() {
    let stack = trusting().set("GALLEY_MAX_SOCKETS_PER_IP", "unlimited").start().await;
    let named = "X-Forwarded-Host: shop.example\r\nX-Forwarded-Proto: https\r\n";
    let hosts = "GALLEY_ALLOWED_HOSTS";
    for (from, origin, headers, expected) in
        [(PROXY, "https://shop.example", "", 403), (PROXY, "https://shop.example", named, 421)]
    {
        let headers = format!("Origin: {origin}\r\n{headers}");
        let (_, answer) = knock(&stack, from, &headers).await;
        assert_eq!(answer.status, expected, "{headers}: {answer:?}");
    }
    let stack = trusting().set("GALLEY_MAX_SOCKETS_PER_IP", "unlimited");
    let stack = stack.set(hosts, "shop.example").start().await;
    let forwarded = "Forwarded: for=192.0.2.1;host=\"shop.example:8443\";proto=https\r\n";
    for (from, origin, headers, expected) in [
        (PROXY, "https://shop.example", named, 101),
        (PROXY, "http://shop.example", named, 403),
        (PROXY, "http://evil.test", named, 403),
        (PROXY, "null", named, 403),
        (PROXY, "https://shop.example:8443", forwarded, 101),
        (OTHER, "https://shop.example", named, 403),
        (OTHER, "https://shop.example", "Sec-Fetch-Site: same-origin\r\n", 101),
        (OTHER, "https://shop.example", "Sec-Fetch-Site: cross-site\r\n", 403),
    ] {
        let headers = format!("Origin: {origin}\r\n{headers}");
        let (_, answer) = knock(&stack, from, &headers).await;
        assert_eq!(answer.status, expected, "{from} {headers}: {answer:?}");
        let told = answer.status != 403
            || answer.json()["detail"].to_string().contains("GALLEY_TRUSTED_PROXIES");
        assert!(told, "{answer:?}");
    }
}

#[tokio::test]
async fn a_proxy_on_a_unix_socket_may_be_trusted() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("galley.sock").display().to_string();
    let stack = TestStack::embedded().set("GALLEY_TRUSTED_PROXIES", "unix").gateways(0);
    let stack = stack.set("GALLEY_LISTEN", &format!("unix:{path}")).start().await;
    let mut program = stack.launch_gateway();
    program.line("listening on unix:").await;
    let mut stream = tokio::net::UnixStream::connect(&path).await.expect("a connection");
    let request = "GET /meals HTTP/1.1\r\nHost: a\r\nX-Forwarded-Host: evil.test\r\n\
                   X-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 421"), "{answer}");
    let line = program.line("foreign-host").await;
    assert!(line.contains("192.0.2.1"), "{line}");
}

#[tokio::test]
async fn the_password_of_a_proxy_does_not_hide_a_token() {
    let (stack, _, hero, _) = TestStack::embedded().with_tokens().start_with_hero_and_meal().await;
    let (client, token) = (stack.client(), signed_token::hero(hero, 3_600));
    let behind_a_password = |protocols: &str| -> Request {
        let mut request = client.handshake("");
        let headers = request.headers_mut();
        headers.insert("authorization", "Basic YTpi".try_into().expect("a header"));
        headers.insert("sec-websocket-protocol", protocols.try_into().expect("a header"));
        request
    };
    let offered = behind_a_password(&format!("galley.v1, bearer.{token}"));
    TestSocket::open(offered).await.expect("a socket");
    let mut late = TestSocket::knock(behind_a_password("galley.v1")).await.expect("a socket");
    late.say(&json!({"type": "auth", "token": token}).to_string()).await;
    assert_eq!(text(&late.next().await, "type"), "welcome");
    let own = client.with_token(&token).get("/orders").header("Authorization", "Basic YTpi");
    own.await.is(200);
    client.get("/orders").header("Authorization", "Basic YTpi").await.problem(401, "unauthorized");
}
