//! Updates as Server-Sent Events.

use futures_util::future::join_all;
use galley_tests::json::{id, list, text};
use galley_tests::program::Signal;
use galley_tests::{StackBuilder, TestClient, until, within};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;

on_both_deployments!(a_hero_listens_and_comes_back);
async fn a_hero_listens_and_comes_back(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("20ms").start_with_hero_and_meal().await;
    let path = format!("/heroes/{hero}/events");
    let mut events = client.listen(&path).await;
    assert_eq!(
        (
            events.headers["cache-control"].as_bytes(),
            events.headers["x-accel-buffering"].as_bytes()
        ),
        (&b"no-store"[..], &b"no"[..])
    );
    assert!(events.retry.is_some());
    let socket = client.connect(hero).await;
    assert_eq!(events.welcome["hero"], socket.welcome["hero"]);
    assert_eq!(
        (text(&events.welcome, "resume"), text(&events.welcome, "cursor")),
        ("fresh", events.last_event_id.as_str())
    );
    let before = events.last_event_id.clone();

    let order = id(&client.place(hero, meal).await);
    for status in ["PENDING", "IN_PROGRESS", "COMPLETED"] {
        let frame = events.until_type("order").await;
        assert_eq!((id(&frame["order"]), text(&frame["order"], "status")), (order, status));
    }
    let after = events.last_event_id.clone();
    drop(events);
    assert_eq!(client.delete(&format!("/orders/{order}")).await.status, 204);

    let deleted = [json!({"order_id": order, "version": 4})];
    for call in [
        client.get(&path).header("Last-Event-ID", &after),
        client.get(&format!("{path}?cursor={before}")),
        client.get(&format!("{path}?cursor=r1.1")).header("Last-Event-ID", &before),
    ] {
        let events = call.listen().await.unwrap_or_else(|answer| panic!("{answer:?}"));
        assert_eq!(
            (text(&events.welcome, "resume"), list(&events.welcome, "deleted")),
            ("resumed", &deleted[..])
        );
    }
}

on_both_deployments!(who_cannot_listen_is_told_why);
async fn who_cannot_listen_is_told_why(stack: StackBuilder) {
    let (_stack, client, hero, _) = stack.start_with_hero_and_meal().await;
    let path = format!("/heroes/{hero}/events");
    client.get(&format!("/heroes/{}/events", hero + 1)).await.problem(404, "hero-not-found");
    for query in ["?cursor=r1.1&cursor=r1.1", "?max_rate=1"] {
        client.get(&format!("{path}{query}")).await.problem(400, "invalid-parameter");
    }
    client.get("/heroes/x/events").await.problem(400, "invalid-parameter");
    for query in [
        "?status=pending",
        "?hero_id=0",
        "?max_rate=0",
        "?max_rate=51",
        "?max_rate=x",
        "?cursor=x&cursor=x",
    ] {
        client.get(&format!("/events{query}")).await.problem(400, "invalid-parameter");
    }
    client.post(&path, &json!({})).await.problem(405, "method-not-allowed");
}

on_both_deployments!(a_quiet_stream_lives_on_heartbeats);
async fn a_quiet_stream_lives_on_heartbeats(stack: StackBuilder) {
    let stack = stack.set("GALLEY_PING_INTERVAL", "100ms").set("GALLEY_PONG_TIMEOUT", "1s");
    let (_stack, client, hero, _) = stack.start_with_hero_and_meal().await;
    let mut streams =
        [client.listen(&format!("/heroes/{hero}/events")).await, client.listen("/events").await];
    for events in &mut streams {
        // Longer than a silent peer is tolerated.
        for _ in 0..25 {
            events.until_comment().await;
        }
    }
    assert_eq!(sockets(&client).await, 2);
    drop(streams);
    until("nobody is left", async || (sockets(&client).await == 0).then_some(())).await;
}

on_both_deployments!(a_gateway_that_leaves_sends_its_streams_away);
async fn a_gateway_that_leaves_sends_its_streams_away(stack: StackBuilder) {
    let (mut stack, client, hero, _) =
        stack.set("GALLEY_DRAIN", "3s").start_with_hero_and_meal().await;
    let path = format!("/heroes/{hero}/events");
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(client.listen(&path).await);
    }
    streams.push(client.listen("/events").await);
    let gateway = &mut stack.gateways[0].program;
    gateway.signal(Signal::TERM);
    let mut hints = Vec::new();
    for events in &mut streams {
        let hint = events.until_type("reconnect").await["after_ms"].as_u64();
        assert_eq!(events.retry, hint);
        hints.push(hint.expect("a number"));
    }
    assert!(hints.iter().all(|hint| *hint < 1_000), "nobody is away for long: {hints:?}");
    assert!(hints.iter().any(|hint| *hint != hints[0]), "each its own moment: {hints:?}");
    for events in &mut streams {
        events.until_end().await;
    }
    assert_eq!(within("the end of the gateway", gateway.exit()).await.code(), Some(0));
}

on_both_deployments!(streams_and_sockets_share_the_places_of_a_hero);
async fn streams_and_sockets_share_the_places_of_a_hero(stack: StackBuilder) {
    let (_stack, client, hero, _) =
        stack.set("GALLEY_MAX_SOCKETS_PER_HERO", "2").start_with_hero_and_meal().await;
    let path = format!("/heroes/{hero}/events");
    let (_socket, events) = (client.connect(hero).await, client.listen(&path).await);
    let answer = client.get(&path).await;
    assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
    answer.problem(429, "too-many-sockets");
    assert_eq!(client.refused(&format!("?hero_id={hero}")).await.0, 429);
    drop(events);
    until("a place for a stream", async || client.get(&path).listen().await.ok()).await;
}

on_both_deployments!(a_stream_that_takes_nothing_is_cut);
/// Both the stream and its connection end, although the body can never be written completely.
async fn a_stream_that_takes_nothing_is_cut(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("1h").start_with_hero_and_meal().await;
    let mut neighbour = client.connect(hero).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    let address = client.base().strip_prefix("http://").expect("a plain URL");
    let mut silent = within("a connection", socket.connect(address.parse().expect("an address")))
        .await
        .expect("a connection");
    let request = format!("GET /heroes/{hero}/events HTTP/1.1\r\nHost: {address}\r\n\r\n");
    silent.write_all(request.as_bytes()).await.expect("a request is small");
    until("the stream", async || (sockets(&client).await == 2).then_some(())).await;

    // Large texts in few orders, because the system buffers megabytes.
    let reason = json!({"reason": "🦸".repeat(2_000)});
    let tell_much = async || {
        let order = id(&client.place(hero, meal).await);
        client.post(&format!("/orders/{order}/cancel"), &reason).await.is(200);
    };
    until("the silent stream is given up", async || {
        join_all((0..50).map(|_| tell_much())).await;
        while neighbour.try_next().is_some() {}
        (client.metric("galley_sockets_closed_total{code=\"1013\"}").await == 1).then_some(())
    })
    .await;
    assert_eq!(sockets(&client).await, 1);
    assert_eq!(neighbour.ask(json!({"type": "ping"})).await["type"], "pong");
    within("the cut", until_cut(&mut silent)).await;
}

async fn until_cut(stream: &mut tokio::net::TcpStream) {
    let mut unread = Vec::new();
    // A complete body would end with an empty chunk.
    let _ = tokio::io::AsyncReadExt::read_to_end(stream, &mut unread).await;
    assert!(!unread.ends_with(b"0\r\n\r\n"));
}

async fn sockets(client: &TestClient) -> u64 {
    client.metric("galley_sockets").await
}
