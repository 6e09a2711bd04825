//! The limits per socket, per address and in total: every refusal names its limit and is counted.

use std::net::Ipv4Addr;

use galley_tests::json::{id, text};
use galley_tests::raw_connection::RawOpcode;
use galley_tests::{RawConnection, StackBuilder, TestClient, TestStack, until};
use serde_json::{Value, json};

const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

async fn reached(client: &TestClient, limit: &str) -> u64 {
    client.metric(&format!(r#"galley_limits_reached_total{{limit="{limit}"}}"#)).await
}

on_both_deployments!(a_gateway_holds_a_bounded_number_of_sockets);
async fn a_gateway_holds_a_bounded_number_of_sockets(stack: StackBuilder) {
    let (_stack, client, hero, _) =
        stack.set("GALLEY_MAX_SOCKETS", "2").start_with_hero_and_meal().await;
    let (socket, _stream) =
        (client.connect(hero).await, client.listen(&format!("/heroes/{hero}/events")).await);
    for query in [String::new(), format!("?hero_id={hero}")] {
        let (status, problem) = client.refused(&query).await;
        assert_eq!((status, text(&problem, "type")), (503, "/problems/overloaded"));
        assert_eq!(problem["retry_after_ms"], 5_000);
    }
    let refused = client.get("/events").await;
    assert_eq!(refused.header("retry-after"), "5");
    refused.problem(503, "overloaded");
    assert_eq!(reached(&client, "sockets").await, 3);
    client.get(&format!("/heroes/{hero}")).await.is(200);
    socket.close().await;
    until("a seat", async || galley_tests::TestSocket::open(&client.socket_url("")).await.ok())
        .await;
}

/// Opens a socket from this address; returns the status and the problem of a refusal.
async fn knock(stack: &TestStack, from: Ipv4Addr) -> Result<RawConnection, (u16, Value)> {
    let mut connection = RawConnection::open_from(&stack.gateways[0].url, from).await;
    let upgrade = galley_tests::raw_connection::UPGRADE;
    connection
        .send(format!("GET /ws HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n").as_bytes())
        .await;
    let answer = connection.answer().await;
    if answer.status == 101 {
        return Ok(connection);
    }
    assert_eq!(answer.header("retry-after"), Some("5"), "{answer:?}");
    Err((answer.status, answer.json()))
}

#[tokio::test]
async fn an_address_holds_a_bounded_number_of_sockets() {
    let stack = TestStack::embedded().set("GALLEY_MAX_SOCKETS_PER_IP", "2").start().await;
    let here = Ipv4Addr::LOCALHOST;
    let (first, _second) =
        (knock(&stack, here).await.expect("room"), knock(&stack, here).await.expect("room"));
    let (status, problem) = knock(&stack, here).await.expect_err("a third");
    assert_eq!((status, text(&problem, "type")), (429, "/problems/too-many-sockets"));
    assert_eq!(reached(&stack.client(), "sockets-per-ip").await, 1);
    knock(&stack, ELSEWHERE).await.expect("another address has its own");
    first.reset();
    until("a seat", async || knock(&stack, here).await.ok()).await;
}

/// Sends pings with the ids 0 to `count - 1` at once; returns for each whether it succeeded.
async fn ping_at_once(socket: &mut galley_tests::TestSocket, count: u64) -> Vec<bool> {
    for id in 0..count {
        socket.say(&json!({"type": "ping", "id": id}).to_string()).await;
    }
    let mut done = Vec::new();
    for id in 0..count {
        let answer = socket
            .until("an answer", |frame| frame["type"] == "pong" || frame["type"] == "error")
            .await;
        assert_eq!(answer["id"], id, "answers come in the order of the commands: {answer}");
        done.push(text(&answer, "type") == "pong");
        if !done[done.len() - 1] {
            assert_eq!(text(&answer, "type"), "error");
            assert_eq!(text(&answer["problem"], "type"), "/problems/rate-limited");
            assert!(
                answer["problem"]["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0),
                "{answer}"
            );
        }
    }
    done
}

on_both_deployments!(a_hero_that_commands_too_fast_is_told_so_each_time);
async fn a_hero_that_commands_too_fast_is_told_so_each_time(stack: StackBuilder) {
    let (_stack, client, hero, meal) =
        stack.set("GALLEY_COMMAND_RATE", "1/h burst 3").start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    assert_eq!(ping_at_once(&mut socket, 10).await, [[true; 3].as_slice(), &[false; 7]].concat());
    let refused = socket.problem(json!({"type": "place", "meal_id": meal})).await;
    assert_eq!(text(&refused, "type"), "/problems/rate-limited");
    assert_eq!(
        client.get(&format!("/heroes/{hero}/orders")).await.is(200)["items"],
        json!([]),
        "it was not carried out"
    );
    // Commands without an id and unreadable messages count as well.
    for said in ["menu", "{", "[1,2]"] {
        socket.say(said).await;
        assert_eq!(
            text(&socket.until_type("error").await["problem"], "type"),
            "/problems/rate-limited",
            "{said}"
        );
    }
    assert_eq!(reached(&client, "commands").await, 11);
    assert_eq!(client.metric(r#"galley_frames_refused_total{problem="rate-limited"}"#).await, 11);

    let order = client.place(hero, meal).await;
    socket.until_status(id(&order), "PENDING").await;
    let mut again = client.connect(hero).await;
    assert_eq!(ping_at_once(&mut again, 1).await, [false], "the rate belongs to the hero");
    let other = client.create_hero("Other", &[]).await;
    let mut other = client.connect(other).await;
    assert_eq!(ping_at_once(&mut other, 3).await, [true; 3], "each hero has its own rate");
}

#[tokio::test]
async fn a_socket_that_waits_as_it_is_told_goes_on() {
    let stack = TestStack::embedded().set("GALLEY_COMMAND_RATE", "2/s burst 1").start().await;
    let mut socket = stack.client().connect_with("").await;
    assert_eq!(socket.ask(json!({"type": "ping"})).await["type"], "pong");
    let carried_out =
        async || (socket.ask(json!({"type": "ping"})).await["type"] == "pong").then_some(());
    until("the next one", carried_out).await;
}

#[tokio::test]
async fn a_caller_may_send_bursts_of_a_hundred_by_default() {
    let stack = TestStack::embedded().start().await;
    let mut socket = stack.client().connect_with("").await;
    let done = ping_at_once(&mut socket, 2_000).await;
    assert!(done[..100].iter().all(|done| *done), "a burst of 100");
    assert!(done.contains(&false), "2,000 at once are more than 100 and 50 for each second");
}

async fn get(
    stack: &TestStack,
    from: Ipv4Addr,
    path: &str,
) -> galley_tests::raw_connection::RawAnswer {
    let mut connection = RawConnection::open_from(&stack.gateways[0].url, from).await;
    connection.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await;
    connection.answer().await
}

#[tokio::test]
async fn an_address_that_asks_too_fast_is_told_so_and_the_others_are_served() {
    let stack = TestStack::embedded().set("GALLEY_REST_RATE", "1/h burst 3").start().await;
    let here = Ipv4Addr::LOCALHOST;
    for left in [2, 1, 0] {
        let answer = get(&stack, here, "/meals").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("ratelimit-policy"), Some(r#""address";q=3;w=10800"#));
        let told = answer.header("ratelimit").unwrap_or_default();
        assert!(told.starts_with(&format!(r#""address";r={left};t="#)), "{told}");
    }
    for path in ["/meals", "/nothing", "/ws", "/"] {
        let answer = get(&stack, here, path).await;
        assert_eq!(
            (answer.status, text(&answer.json(), "type")),
            (429, "/problems/rate-limited"),
            "{path}"
        );
        let wait: u64 =
            answer.header("retry-after").and_then(|wait| wait.parse().ok()).expect("seconds");
        assert!((3_000..=3_600).contains(&wait), "{wait}");
        assert!(
            answer.header("ratelimit").is_some_and(|told| told.starts_with(r#""address";r=0;t="#)),
            "{answer:?}"
        );
        assert!(answer.header("x-request-id").is_some());
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get(&stack, here, path).await.status, 200, "{path} is for balancers");
    }
    let metrics = get(&stack, ELSEWHERE, "/metrics").await;
    assert_eq!(metrics.status, 200);
    let metrics = String::from_utf8(metrics.body).expect("text");
    assert!(metrics.contains(r#"galley_limits_reached_total{limit="rest"} 4"#), "{metrics}");
}

#[tokio::test]
async fn a_request_that_is_none_or_has_too_large_a_head_is_answered_with_a_problem() {
    let stack = TestStack::embedded().start().await;
    let gateway = &stack.gateways[0].url;
    let large =
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: {}\r\n\r\n", "x".repeat(33 * 1_024));
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X-Many: x\r\n".repeat(200));
    for (request, status, slug) in [
        ("\0\0\0\0\r\n\r\n", 400, "bad-request"),
        ("GET / HTTP/9.9\r\n\r\n", 400, "bad-request"),
        ("GET / HTTP/1.1\r\nNo colon\r\n\r\n", 400, "bad-request"),
        ("GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "bad-request"),
        (&large, 431, "head-too-large"),
        (&many, 431, "head-too-large"),
    ] {
        let mut connection = RawConnection::open(gateway).await;
        connection.send(request.as_bytes()).await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, status, "{request:.40?}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.json()["type"], format!("/problems/{slug}"));
        connection.until_gone().await;
    }
    assert_eq!(reached(&stack.client(), "head").await, 2);
}

/// Requests that other tests of this file and of `hostile` see refused succeed with higher limits:
/// nothing else refused them.
#[tokio::test]
async fn where_a_limit_is_raised_what_was_refused_gets_through() {
    const BIG: usize = 20_000;
    let raised = [
        ("MAX_MESSAGE", "64KiB"),
        ("MAX_SOCKETS", "1000"),
        ("MAX_SOCKETS_PER_IP", "1000"),
        ("MAX_SOCKETS_PER_HERO", "1000"),
    ];
    let raised =
        raised.into_iter().chain([("COMMAND_RATE", "1000000/s"), ("REST_RATE", "1000000/s")]);
    let (stack, client, hero, _) = raised
        .fold(TestStack::embedded(), |stack, (name, value)| {
            stack.set(&format!("GALLEY_{name}"), value)
        })
        .start_with_hero_and_meal()
        .await;
    let mut sockets = Vec::new();
    for _ in 0..70 {
        sockets.push(client.connect(hero).await);
    }
    let done = ping_at_once(&mut sockets[0], 2_000).await;
    assert!(done.iter().all(|done| *done), "every command is carried out");
    for _ in 0..20 {
        client.get("/meals").await.is(200);
    }
    let mut big = RawConnection::open(&stack.gateways[0].url).await;
    big.upgrade("", "").await;
    big.send_frame(
        RawOpcode::TEXT,
        format!(r#"{{"type":"ping","id":1{}}}"#, " ".repeat(BIG)).as_bytes(),
    )
    .await;
    assert_eq!(big.frame_of_type("pong").await["id"], 1);
    for limit in ["commands", "sockets", "sockets-per-hero", "sockets-per-ip", "rest"] {
        assert_eq!(reached(&client, limit).await, 0, "{limit}");
    }
}

#[tokio::test]
async fn a_connection_is_kept_between_requests() {
    let stack = TestStack::embedded().start().await;
    let mut connection = RawConnection::open(&stack.gateways[0].url).await;
    for _ in 0..3 {
        connection.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert_eq!(connection.answer().await.status, 200);
    }
    connection.send(b"GET /ws HTTP/1.1\r\nHost: localhost\r\n").await;
    connection.send(galley_tests::raw_connection::UPGRADE.as_bytes()).await;
    connection.send(b"\r\n").await;
    assert_eq!(connection.answer().await.status, 101);
    connection.send_frame(RawOpcode::TEXT, br#"{"type":"ping","id":1}"#).await;
    assert_eq!(connection.frame_of_type("pong").await["id"], 1);
}
