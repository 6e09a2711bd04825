//! A gateway that stops drains its sockets and announces it to every client.

use std::io::ErrorKind;

use galley_tests::json::{id, text};
use galley_tests::program::Signal;
use galley_tests::{StackBuilder, TestClient, TestStack, until, within};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tokio::net::TcpStream;

on_both_deployments!(a_gateway_that_leaves_is_red_first_and_serves_everything);
async fn a_gateway_that_leaves_is_red_first_and_serves_everything(stack: StackBuilder) {
    let (mut stack, client, hero, meal) =
        stack.set("GALLEY_SHUTDOWN_DELAY", "1s").delay("1h").start_with_hero_and_meal().await;
    let mut before = client.connect(hero).await;
    stack.gateways[0].program.signal(Signal::TERM);
    let ready = until("red", async || {
        Some(client.get("/readyz").await).filter(|answer| answer.status == 503)
    })
    .await;
    assert_eq!(text(&ready.json(), "status"), "draining");
    // On a new connection.
    let other = TestClient::new(client.base());
    assert_eq!(other.get("/healthz").await.status, 200);
    let mut after = other.connect(hero).await;
    let events = other.listen(&format!("/heroes/{hero}/events")).await;
    let order = id(&other.place(hero, meal).await);
    for socket in [&mut before, &mut after] {
        socket.until_status(order, "PENDING").await;
        assert_eq!(socket.close_code().await, 1012);
    }
    drop(events);
    assert_eq!(
        within("the end of the gateway", stack.gateways[0].program.exit()).await.code(),
        Some(0)
    );
}

on_both_deployments!(a_gateway_that_leaves_refuses_connections_and_sends_its_sockets_away);
async fn a_gateway_that_leaves_refuses_connections_and_sends_its_sockets_away(stack: StackBuilder) {
    let (mut stack, client, hero, _) =
        stack.set("GALLEY_DRAIN", "3s").delay("1h").start_with_hero_and_meal().await;
    let mut sockets = Vec::new();
    for _ in 0..30 {
        sockets.push(client.connect(hero).await);
    }
    let gateway = &mut stack.gateways[0].program;
    gateway.signal(Signal::TERM);
    let mut hints = Vec::new();
    for socket in &mut sockets {
        let frame = socket.until_type("reconnect").await;
        hints.push(frame["after_ms"].as_u64().expect("a number"));
        // The close follows at once, and this gateway accepts no new connection then.
        assert_eq!(socket.close_code().await, 1012);
        let address = client.base().trim_start_matches("http://");
        assert_eq!(
            TcpStream::connect(address).await.expect_err("nobody listens").kind(),
            ErrorKind::ConnectionRefused
        );
    }
    assert!(hints.iter().all(|hint| *hint < 1_000), "nobody is away for long: {hints:?}");
    assert!(hints.iter().any(|hint| *hint != hints[0]), "each its own moment: {hints:?}");
    assert_eq!(within("the end of the gateway", gateway.exit()).await.code(), Some(0));
}

on_both_deployments!(a_request_on_a_kept_connection_is_answered_by_a_gateway_that_leaves);
/// The connection is kept open like one in the pool of a balancer. The socket keeps the gateway
/// from ending.
async fn a_request_on_a_kept_connection_is_answered_by_a_gateway_that_leaves(stack: StackBuilder) {
    let (mut stack, client, hero, meal) =
        stack.delay("1h").set("GALLEY_DRAIN", "30s").start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    let gateway = &mut stack.gateways[0].program;
    gateway.signal(Signal::TERM);
    gateway.line("\"leaving\"").await;
    let answer = client.place_call(hero, meal).await;
    assert_eq!(answer.header("connection"), "close");
    socket.until_status(id(&answer.is(202)), "PENDING").await;
}

on_both_deployments!(a_client_that_was_sent_away_misses_nothing);
async fn a_client_that_was_sent_away_misses_nothing(stack: StackBuilder) {
    let (mut stack, client, hero, meal) = stack.delay("300ms").start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    let order = id(&client.place(hero, meal).await);
    let cursor = text(&socket.until_type("order").await, "cursor").to_owned();
    stack.gateways[0].program.stop().await;
    assert_eq!(socket.close_code().await, 1012);

    let client = stack.start_gateway().await;
    let mut socket = client.resume(hero, &cursor).await;
    let seen = socket.welcome["orders"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|seen| seen["status"] == "COMPLETED");
    if !seen {
        socket.until_status(order, "COMPLETED").await;
    }
    assert_eq!(socket.ask(json!({"type": "ping"})).await["type"], "pong");
}

#[tokio::test]
async fn what_a_socket_has_asked_for_is_answered_before_it_is_sent_away() {
    let (mut stack, client, hero, meal) = TestStack::distributed()
        .set("GALLEY_DRAIN", "0s")
        .delay("1h")
        .start_with_hero_and_meal()
        .await;
    let mut socket = client.connect(hero).await;
    let mut database = PgConnection::connect(stack.database_url()).await.expect("a connection");
    sqlx::raw_sql("begin; lock table orders in exclusive mode")
        .execute(&mut database)
        .await
        .expect("nobody else holds it");
    // The first command waits for its commit, the second for its batch, the third for its turn.
    for id in [1, 2] {
        socket.say(&json!({"type": "place", "id": id, "meal_id": meal}).to_string()).await;
    }
    socket.say(r#"{"type":"ping","id":3}"#).await;
    until("the gateway has heard it all", async || {
        (client.metric("galley_frames_in_total").await == 3).then_some(())
    })
    .await;
    let gateway = &mut stack.gateways[0].program;
    gateway.signal(Signal::TERM);
    socket.until_type("reconnect").await;
    sqlx::raw_sql("commit").execute(&mut database).await.expect("the table is free");
    for id in [1, 2] {
        let reply = socket.until("the answer", |frame| frame["id"] == id).await;
        assert_eq!(text(&reply["order"], "status"), "PENDING", "{reply}");
    }
    assert_eq!(socket.until_type("pong").await["id"], 3);
    assert_eq!(socket.close_code().await, 1012);
    assert_eq!(within("the end of the gateway", gateway.exit()).await.code(), Some(0));
}

/// The comments on an idle stream, one per second, are the clock of this test.
#[tokio::test]
async fn nobody_repairs_anything_for_a_worker_that_has_left_in_order() {
    let (mut stack, client, hero, meal) = TestStack::distributed()
        .workers(2)
        .set("GALLEY_PING_INTERVAL", "1s")
        .delay("0s")
        .start_with_hero_and_meal()
        .await;
    let mut events = client.listen(&format!("/heroes/{hero}/events")).await;
    client.place_until(hero, meal, "COMPLETED").await;
    for _ in 0..3 {
        events.until_comment().await; // what the gateway repaired at its start is over
    }
    let before = client.metric("galley_repairs_total").await;
    stack.workers[0].stop().await;
    // Longer than the time-out of a heartbeat.
    for _ in 0..7 {
        events.until_comment().await;
    }
    assert_eq!(client.metric("galley_repairs_total").await, before);
    stack.workers[1].kill();
    until("a repair for one that was killed", async || {
        (client.metric("galley_repairs_total").await > before).then_some(())
    })
    .await;
}
