//! Commands over a socket, as JSON.

use galley_protocol::frame::Totals;
use galley_tests::json::{id, list, text, version};
use galley_tests::{StackBuilder, TestClient};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

on_both_deployments!(every_command_of_a_hero_is_answered);
async fn every_command_of_a_hero_is_answered(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("1h").start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    assert_eq!(socket.welcome["hero"], client.get(&format!("/heroes/{hero}")).await.is(200));
    assert_eq!(
        (text(&socket.welcome, "resume"), list(&socket.welcome, "orders").len()),
        ("fresh", 0)
    );
    assert_eq!(
        text(&socket.welcome, "help"),
        galley_protocol::Language::default().help(galley_protocol::Audience::Hero)
    );

    let menu = socket.reply(json!({"type": "menu"})).await;
    assert_eq!(list(&menu, "items"), [client.get(&format!("/meals/{meal}")).await.is(200)]);
    let placed = socket.reply(json!({"type": "place", "meal_id": meal})).await;
    let order = id(&placed["order"]);
    assert_eq!((text(&placed["order"], "status"), version(&placed["order"])), ("PENDING", 1));
    let progress = socket.until_status(order, "IN_PROGRESS").await;
    let got = socket.reply(json!({"type": "get", "order_id": order})).await;
    assert_eq!(got["order"], progress);
    for (status, expected) in
        [(json!(["PENDING"]), 0), (json!(["PENDING", "IN_PROGRESS"]), 1), (json!([]), 1)]
    {
        let orders = socket.reply(json!({"type": "orders", "status": status, "limit": 5})).await;
        assert_eq!(
            (list(&orders, "items").len(), &orders["next_cursor"]),
            (expected, &Value::Null)
        );
    }
    let welcome = client.connect(hero).await.welcome;
    assert_eq!(list(&welcome, "orders"), [progress], "the active orders are in the welcome");

    let cancelled =
        socket.reply(json!({"type": "cancel", "order_id": order, "reason": "no"})).await;
    assert_eq!(
        (text(&cancelled["order"], "status"), text(&cancelled["order"], "message")),
        ("CANCELLED", "no")
    );
    let deleted = socket.reply(json!({"type": "delete", "order_id": order})).await;
    assert_eq!(deleted["deleted"], true);
    assert_eq!(
        text(&socket.reply(json!({"type": "help"})).await, "help"),
        galley_protocol::Language::default().help(galley_protocol::Audience::Hero)
    );
    assert_eq!(socket.ask(json!({"type": "ping"})).await["type"], "pong");
    assert_eq!(
        text(&socket.problem(json!({"type": "watch"})).await, "type"),
        "/problems/forbidden"
    );
    socket.say(r#"{"type":"ping","id":8}"#).await;
    assert_eq!(socket.until_type("pong").await, json!({"type": "pong", "id": 8}));

    let first = socket.reply(json!({"type": "place", "meal_id": meal})).await;
    let second = socket.reply(json!({"type": "place", "meal_id": meal})).await;
    let page = socket.reply(json!({"type": "orders", "limit": 1})).await;
    assert_eq!(id(&list(&page, "items")[0]), id(&second["order"]));
    let page =
        socket.reply(json!({"type": "orders", "limit": 1, "cursor": page["next_cursor"]})).await;
    assert_eq!(
        (id(&list(&page, "items")[0]), &page["next_cursor"]),
        (id(&first["order"]), &Value::Null)
    );
    socket.close().await;
}

on_both_deployments!(a_wrong_frame_is_answered_and_the_socket_lives_on);
async fn a_wrong_frame_is_answered_and_the_socket_lives_on(stack: StackBuilder) {
    const INVALID: &str = "validation-failed";
    let (_stack, client, hero, _) = stack.start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    let long_key = format!(r#"{{"id":7,"type":"place","meal_id":2,"key":"{}"}}"#, "k".repeat(256));
    for (frame, slug, detail) in [
        (r#"{"type":"place","#, "malformed-json", ""),
        ("{}", INVALID, "#/type is required"),
        (r#"{"id":7,"type":1}"#, INVALID, "#/type must be a string"),
        (r#"{"id":7,"type":"place"}"#, INVALID, "#/meal_id is required"),
        (r#"{"id":7,"type":"place","meal_id":"2"}"#, INVALID, "#/meal_id must be an integer"),
        (r#"{"id":7,"type":"place","meal_id":2.5}"#, INVALID, "#/meal_id must be an integer"),
        (r#"{"id":7,"type":"place","meal_id":2,"hero_id":1}"#, INVALID, "#/hero_id is not a known"),
        (&long_key, INVALID, "#/key"),
        (r#"{"id":7,"type":"get","order_id":99999999999999999999}"#, INVALID, "#/order_id"),
        (r#"{"id":7,"type":"cancel","order_id":1,"reason":"\u0007"}"#, INVALID, "#/reason"),
        (r#"{"id":7,"type":"orders","limit":101}"#, INVALID, "#/limit must be from 1 to 100"),
        (r#"{"id":7,"type":"orders","status":["DONE"]}"#, INVALID, "#/status/0"),
        (r#"{"id":7,"type":"plce"}"#, "unknown-command", "did you mean `place`?"),
        (r#"{"id":7,"type":"get","order_id":1}"#, "order-not-found", "order 1"),
    ] {
        socket.say(frame).await;
        let answer = socket.until_type("error").await;
        let expected = if frame.contains(r#""id":7"#) { json!(7) } else { Value::Null };
        assert_eq!(
            (&answer["id"], &answer["problem"]["type"]),
            (&expected, &json!(format!("/problems/{slug}"))),
            "{frame}"
        );
        assert!(text(&answer["problem"], "detail").contains(detail), "{frame}: {answer}");
    }
    let nested = "[".repeat(5_000);
    socket.say(&format!(r#"{{"type":{nested}"#)).await;
    assert_eq!(
        text(&socket.until_type("error").await["problem"], "type"),
        "/problems/malformed-json"
    );
    assert_eq!(socket.ask(json!({"type": "ping"})).await["type"], "pong");
}

on_both_deployments!(a_socket_of_an_unknown_hero_is_refused_before_it_opens);
async fn a_socket_of_an_unknown_hero_is_refused_before_it_opens(stack: StackBuilder) {
    let stack = stack.start().await;
    let client = stack.client();
    for (query, status, slug) in [
        ("?hero_id=1", 404, "hero-not-found"),
        ("?hero_id=0", 400, "invalid-parameter"),
        ("?hero_id=x", 400, "invalid-parameter"),
        ("?hero=1", 400, "invalid-parameter"),
        ("?hero_id=1&hero_id=2", 400, "invalid-parameter"),
        ("?hero_id=1&cursor=x&cursor=x", 400, "invalid-parameter"),
    ] {
        let (answered, problem) = client.refused(query).await;
        assert_eq!(
            (answered, text(&problem, "type")),
            (status, format!("/problems/{slug}").as_str()),
            "{query}"
        );
    }
    client.get("/ws").await.problem(426, "upgrade-required");
}

on_both_deployments!(a_message_that_is_too_big_or_binary_ends_the_socket);
async fn a_message_that_is_too_big_or_binary_ends_the_socket(stack: StackBuilder) {
    let (_stack, client, hero, _) =
        stack.set("GALLEY_MAX_MESSAGE", "2KiB").start_with_hero_and_meal().await;
    let mut neighbour = client.connect(hero).await;
    for (message, code) in [
        (Message::text("x".repeat(4_096)), 1009),
        (Message::binary(vec![1, 2, 3]), 1003),
        (Message::binary(vec![0; 4_096]), 1009),
    ] {
        let mut socket = client.connect(hero).await;
        socket.send(message).await;
        assert_eq!(socket.close_code().await, code);
    }
    assert_eq!(neighbour.ask(json!({"type": "ping"})).await["type"], "pong");
}

on_both_deployments!(a_ping_is_answered);
async fn a_ping_is_answered(stack: StackBuilder) {
    let stack = stack.set("GALLEY_PING_INTERVAL", "200ms").set("GALLEY_PONG_TIMEOUT", "10s");
    let (_stack, client, hero, _) = stack.start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    socket.send(Message::Ping(vec![1, 2, 3].into())).await;
    assert_eq!(socket.until_pong().await, [1, 2, 3]);
    socket.until_ping().await;
}

on_both_deployments!(staff_watches_everything_and_places_nothing);
async fn staff_watches_everything_and_places_nothing(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("0s").start_with_hero_and_meal().await;
    let other = client.create_hero("Other", &[]).await;
    let mut staff = client.connect_with("").await;
    assert_eq!(
        (&staff.welcome["hero"], text(&staff.welcome, "help")),
        (&Value::Null, galley_protocol::Language::default().help(galley_protocol::Audience::Staff))
    );
    let problem = staff.problem(json!({"type": "place", "meal_id": meal})).await;
    assert_eq!(text(&problem, "type"), "/problems/forbidden");
    let watching = staff.reply(json!({"type": "watch", "max_rate": 50})).await;
    assert_eq!(watching["totals"], json!(Totals::default()));
    let mut one_hero = client.connect_with("").await;
    one_hero
        .reply(json!({"type": "watch", "hero_id": other, "status": ["COMPLETED"], "max_rate": 50}))
        .await;

    let order = id(&client.place(hero, meal).await);
    see_in_feed(&mut staff, order, "COMPLETED").await;
    let second = id(&client.place(other, meal).await);
    let feed = see_in_feed(&mut one_hero, second, "COMPLETED").await;
    assert!(list(&feed, "orders").iter().all(|seen| id(seen) == second), "{feed}");
    galley_tests::until("the totals", async || {
        let totals = staff.reply(json!({"type": "watch", "max_rate": 50})).await["totals"].take();
        (totals["COMPLETED"] == 2 && totals["PENDING"] == 0).then_some(())
    })
    .await;
    assert_eq!(id(&staff.reply(json!({"type": "get", "order_id": order})).await["order"]), order);
    assert_eq!(list(&staff.reply(json!({"type": "orders"})).await, "items").len(), 2);
}

async fn see_in_feed(socket: &mut galley_tests::TestSocket, order: i64, status: &str) -> Value {
    let shows = |frame: &Value| {
        frame["type"] == "feed"
            && list(frame, "orders")
                .iter()
                .any(|seen| seen["id"] == order && seen["status"] == status)
    };
    socket.until(&format!("order {order} is {status} in the feed"), shows).await
}

on_both_deployments!(a_hero_holds_a_bounded_number_of_sockets);
async fn a_hero_holds_a_bounded_number_of_sockets(stack: StackBuilder) {
    let (_stack, client, hero, _) =
        stack.set("GALLEY_MAX_SOCKETS_PER_HERO", "2").start_with_hero_and_meal().await;
    let other = client.create_hero("Other", &[]).await;
    let query = format!("?hero_id={hero}");
    let (first, _second) = (client.connect(hero).await, client.connect(hero).await);
    let (status, problem) = client.refused(&query).await;
    assert_eq!((status, text(&problem, "type")), (429, "/problems/too-many-sockets"));
    client.connect(other).await;
    first.close().await;
    galley_tests::until("a place for a socket", async || open(&client, &query).await.then_some(()))
        .await;
}

async fn open(client: &TestClient, query: &str) -> bool {
    galley_tests::TestSocket::open(&client.socket_url(query)).await.is_ok()
}
