//! A gateway that leaves takes its time and tells everybody.

use galley_tests::json::{id, text};
use galley_tests::program::Signal;
use galley_tests::{Stack, StackBuilder, until, within};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

on_both_deployments![a_gateway_that_leaves_sends_its_sockets_away_in_time, a_client_that_was_sent_away_misses_nothing];

async fn a_gateway_that_leaves_sends_its_sockets_away_in_time(stack: StackBuilder) {
    let mut stack = stack.set("GALLEY_DRAIN", "3s").delay("1h").start().await;
    let client = stack.client();
    let (hero, _) = client.create_hero_and_meal().await;
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
    }
    assert!(hints.iter().all(|hint| *hint <= 3_000), "{hints:?}");
    assert!(hints.iter().any(|hint| *hint != hints[0]), "each its own moment: {hints:?}");

    // With 30 random moments within 3 s the last socket is there for long enough.
    let ready = client.get("/readyz").await;
    assert_eq!((ready.status, text(&ready.json(), "status")), (503, "draining"));
    assert_eq!(client.get("/healthz").await.status, 200);
    let (status, problem) = client.refused(&format!("?hero_id={hero}")).await;
    assert_eq!((status, text(&problem, "type")), (503, "/problems/draining"));

    for socket in &mut sockets {
        assert_eq!(socket.close_code().await, 1012);
    }
    let status = within("the end of the gateway", gateway.exit()).await;
    assert_eq!(status.code(), Some(0));
}

async fn a_client_that_was_sent_away_misses_nothing(stack: StackBuilder) {
    let mut stack = stack.delay("300ms").start().await;
    let client = stack.client();
    let (hero, meal) = client.create_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    let order = id(&client.place(hero, meal).await);
    let cursor = text(&socket.until_type("order").await, "cursor").to_owned();
    stack.gateways[0].program.stop().await;
    assert_eq!(socket.close_code().await, 1012);

    let client = stack.start_gateway().await;
    let mut socket = client.resume(hero, &cursor).await;
    let seen = socket.welcome["orders"].as_array().into_iter().flatten().any(|seen| seen["status"] == "COMPLETED");
    if !seen {
        socket.until_status(order, "COMPLETED").await;
    }
    assert_eq!(socket.ask(json!({"type": "ping"})).await["type"], "pong");
}

#[tokio::test]
async fn what_a_socket_has_asked_for_is_answered_before_it_is_sent_away() {
    let mut stack = Stack::distributed().set("GALLEY_DRAIN", "0s").delay("1h").start().await;
    let client = stack.client();
    let (hero, meal) = client.create_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    let mut database = PgConnection::connect(stack.database_url()).await.expect("a connection");
    sqlx::raw_sql("begin; lock table orders in exclusive mode").execute(&mut database).await.expect("nobody else holds it");
    // The first waits for its commit, the second for its batch, the third for its turn.
    for id in [1, 2] {
        socket.say(&json!({"type": "place", "id": id, "meal_id": meal}).to_string()).await;
    }
    socket.say(r#"{"type":"ping","id":3}"#).await;
    until("the gateway has heard it all", async || (client.metric("galley_frames_in_total").await == 3).then_some(())).await;
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
