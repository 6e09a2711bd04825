//! The limits per caller: whatever one hero or one address does, nobody else is refused for it.

use std::net::Ipv4Addr;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream;
use galley_tests::json::{id, text};
use galley_tests::raw_connection::RawOpcode;
use galley_tests::{
    RawConnection, StackBuilder, TestClient, TestSocket, TestStack, signed_token, until, within,
};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// The type of the problem of a caller that is too fast.
const TOO_FAST: &str = "/problems/rate-limited";

async fn reached(client: &TestClient, limit: &str) -> u64 {
    client.metric(&format!(r#"galley_limits_reached_total{{limit="{limit}"}}"#)).await
}

/// Sends pings; returns the number of those that were answered.
async fn pings(socket: &mut TestSocket, count: usize) -> usize {
    let mut answered = 0;
    for _ in 0..count {
        let answer = socket.ask(json!({"type": "ping"})).await;
        if answer["type"] == "pong" {
            answered += 1;
        } else {
            assert_eq!(text(&answer["problem"], "type"), TOO_FAST);
            assert!(answer["problem"]["retry_after_ms"].as_u64() > Some(0), "{answer}");
        }
    }
    answered
}

on_both_deployments!(a_hero_has_one_rate_for_all_its_sockets_and_requests);
async fn a_hero_has_one_rate_for_all_its_sockets_and_requests(stack: StackBuilder) {
    let stack = stack.with_tokens().delay("1h").set("GALLEY_COMMAND_RATE", "1/h burst 12");
    let (stack, staff, hero, meal) = stack.start_with_hero_and_meal().await;
    let own = stack.hero(hero);
    let mut socket = own.connect_with("").await;
    assert_eq!(pings(&mut socket, 4).await, 4);
    let token = signed_token::hero(hero, 7_200);
    socket.reply(json!({"type": "auth", "token": token})).await;
    let order = id(&own.place(hero, meal).await);
    own.cancel(order).await.is(200);
    own.delete(&format!("/orders/{order}")).await.is(204);
    let mut other = stack.client().with_token(&token).connect_with("").await;
    assert_eq!(pings(&mut other, 9).await, 4, "twelve in all");
    assert_eq!(pings(&mut socket, 3).await, 0);
    let refused = own.place_call(hero, meal).await;
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|wait| wait > 60));
    refused.problem(429, "rate-limited");
    own.get("/orders").await.is(200);
    assert_eq!(reached(&staff, "commands").await, 9);

    let neighbour = staff.create_hero("Neighbour", &[]).await;
    stack.hero(neighbour).place(neighbour, meal).await;
    for number in 0..15 {
        staff.create_hero(&format!("Hero {number}"), &[]).await;
    }
}

#[tokio::test]
async fn opening_sockets_anew_gives_no_fresh_burst() {
    let stack = TestStack::embedded().set("GALLEY_COMMAND_RATE", "1/h burst 70");
    let (_stack, client, hero, _) = stack.start_with_hero_and_meal().await;
    let mut answered = 0;
    for _ in 0..20 {
        let mut socket = client.connect(hero).await;
        answered += pings(&mut socket, 5).await;
        socket.close().await;
    }
    assert_eq!(answered, 70, "of a hundred, however often it came back");
    let mut sockets = Vec::new();
    let neighbour = client.create_hero("Neighbour", &[]).await;
    for _ in 0..64 {
        sockets.push(client.connect(neighbour).await);
    }
    let mut answered = 0;
    for socket in &mut sockets {
        answered += pings(socket, 2).await;
    }
    assert_eq!(answered, 70, "of 128, with as many sockets as it may have");
    assert_eq!(pings(&mut client.connect_with("").await, 1).await, 1, "staff is somebody else");
}

#[tokio::test]
async fn who_opens_sockets_again_and_again_is_slowed_down() {
    let (stack, client, hero, _) = TestStack::embedded().start_with_hero_and_meal().await;
    let neighbour = client.create_hero("Neighbour", &[]).await;
    let url = &stack.gateways[0].url;
    // Each caller opens sockets and leaves at once, until one of its handshakes is refused.
    let opening = (0..8).map(async |_| {
        loop {
            let mut socket = RawConnection::open(url).await;
            let answer = socket.ask_to_upgrade(&format!("?hero_id={hero}"), "").await;
            match answer.status {
                101 => socket.reset(),
                _ if text(&answer.json(), "type") == TOO_FAST => return answer,
                // The gateway has not seen yet that the earlier ones left.
                status => assert_eq!(status, 429),
            }
        }
    });
    for refused in within("the refusals", join_all(opening)).await {
        assert!(refused.status == 429 && refused.header("retry-after").is_some(), "{refused:?}");
    }
    assert!(reached(&client, "sockets-opened").await >= 8);
    client.connect(neighbour).await;
}

#[tokio::test]
async fn the_reads_of_one_caller_leave_connections_to_the_others() {
    let stack = TestStack::distributed().with_tokens().set("GALLEY_MAX_READS_PER_CALLER", "6");
    let (stack, staff, hero, _) = stack.start_with_hero_and_meal().await;
    let neighbour = staff.create_hero("Neighbour", &[]).await;
    let mut database = PgConnection::connect(stack.database_url()).await.expect("a connection");
    let locked = "begin; lock table meals in access exclusive mode";
    sqlx::raw_sql(locked).execute(&mut database).await.expect("the table is free");
    let greedy = stack.hero(hero);
    let reads: Vec<_> = (0..20)
        .map(|_| {
            let greedy = greedy.clone();
            tokio::spawn(async move { greedy.get("/meals").await })
        })
        .collect();
    until("the refusals", async || (reached(&staff, "reads").await == 14).then_some(())).await;
    let fair = stack.hero(neighbour);
    within("the neighbour's read", async {
        fair.get(&format!("/heroes/{neighbour}")).await.is(200)
    })
    .await;
    within("the neighbour's socket", fair.connect_with("")).await;
    sqlx::raw_sql("commit").execute(&mut database).await.expect("the table is free again");
    let mut statuses = Vec::new();
    for read in reads {
        let answer = read.await.expect("no panic");
        assert_eq!(answer.status == 429, answer.header("retry-after") == "1");
        statuses.push(answer.status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 14, "{statuses:?}");
    greedy.get("/meals").await.is(200);
}

on_both_deployments!(a_hero_has_a_bounded_number_of_open_orders);
async fn a_hero_has_a_bounded_number_of_open_orders(stack: StackBuilder) {
    let stack = stack.delay("1h").set("GALLEY_MAX_OPEN_ORDERS_PER_HERO", "3");
    let (mut stack, client, hero, meal) = stack.start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    let order = id(&client.place(hero, meal).await);
    socket.reply(json!({"type": "place", "meal_id": meal})).await;
    client.place(hero, meal).await;
    for _ in 0..3 {
        let refused = client.place_call(hero, meal).await;
        assert_eq!(refused.header("retry-after"), "1");
        refused.problem(429, "too-many-open-orders");
        let problem = socket.problem(json!({"type": "place", "meal_id": meal})).await;
        assert_eq!(problem["type"], "/problems/too-many-open-orders");
    }
    assert_eq!(reached(&client, "open-orders").await, 6);
    let (neighbour, _) = client.create_hero_and_meal().await;
    client.place(neighbour, meal).await;
    client.cancel(order).await.is(200);
    until("room for an order", async || {
        Some(client.place_call(hero, meal).await).filter(|answer| answer.status == 202)
    })
    .await;
    if stack.setting("REDIS_URL").is_some() {
        let second = stack.start_gateway().await;
        second.place_call(hero, meal).await.problem(429, "too-many-open-orders");
    }
}

#[tokio::test]
async fn many_orders_at_once_do_not_exceed_the_bound() {
    // In parts of 2 orders, and of 20.
    for most in [40, 320] {
        let stack = TestStack::embedded().delay("1h");
        let stack = stack.set("GALLEY_MAX_OPEN_ORDERS_PER_HERO", &most.to_string());
        let (_stack, client, hero, meal) = stack.start_with_hero_and_meal().await;
        let orders = (0..most + 60).map(|_| client.place_call(hero, meal).into_future());
        let answers = futures_util::future::join_all(orders).await;
        let count = |status| answers.iter().filter(|answer| answer.status == status).count();
        assert_eq!((count(202), count(429)), (most, 60));
    }
}

#[tokio::test]
async fn sockets_without_a_token_displace_those_of_their_own_address() {
    const MOST: usize = 1_024;
    // Nor do they take the seats of sockets that have one.
    let stack = TestStack::embedded().with_tokens().set("GALLEY_MAX_SOCKETS", "2").start().await;
    let (hero, _) = stack.staff().create_hero_and_meal().await;
    let gateway = &stack.gateways[0].url;
    let open = async |from| {
        let mut connection = RawConnection::open_from(gateway, from).await;
        connection.upgrade("", "").await;
        connection
    };
    // Several at once: each waits for its token for 5 s only. The first is among the oldest.
    let opening = stream::iter(0..MOST - 1).map(|_| open(HERE)).buffered(16);
    let mut silent: Vec<_> = opening.collect().await;
    let mut neighbour = open(ELSEWHERE).await;
    for _ in 0..20 {
        silent.push(open(HERE).await);
    }
    let auth = json!({"type": "auth", "token": signed_token::hero(hero, 3_600)}).to_string();
    neighbour.send_frame(RawOpcode::TEXT, auth.as_bytes()).await;
    assert_eq!(neighbour.frame_of_type("welcome").await["hero"]["id"], hero);
    let newest = silent.last_mut().expect("there are some");
    newest.send_frame(RawOpcode::TEXT, auth.as_bytes()).await;
    newest.frame_of_type("welcome").await;
    assert_eq!(silent[0].close_code().await, Some(1013));
    assert_eq!(reached(&stack.staff(), "sockets-without-token").await, 20);
}

/// Asks for `/healthz` on a connection of its own.
async fn ask_for_health(gateway: &str) -> RawConnection {
    let mut connection = RawConnection::open(gateway).await;
    connection.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(connection.answer().await.status, 200);
    connection
}

on_both_deployments!(idle_connections_make_room_for_those_that_ask);
async fn idle_connections_make_room_for_those_that_ask(stack: StackBuilder) {
    const FILES: u32 = 160;
    let (stack, client, hero, _) = stack.files(FILES).start_with_hero_and_meal().await;
    let gateway = &stack.gateways[0].url;
    let mut socket = client.connect(hero).await;
    let (mut silent, mut idle) = (Vec::new(), Vec::new());
    for _ in 0..FILES {
        silent.push(RawConnection::open(gateway).await);
    }
    ask_for_health(gateway).await;
    for _ in 0..2 * FILES {
        idle.push(ask_for_health(gateway).await);
    }
    assert_eq!(pings(&mut socket, 1).await, 1, "a socket is not closed for others");
    let client = TestClient::new(gateway);
    let closed = reached(&client, "open-files").await;
    assert!(closed > u64::from(FILES), "the silent ones, and then the idle ones: {closed}");
    silent.swap_remove(0).until_gone().await;
    idle.swap_remove(0).until_gone().await;
}

#[tokio::test]
async fn an_address_has_a_bounded_number_of_connections() {
    let stack = TestStack::embedded().set("GALLEY_MAX_CONNECTIONS_PER_IP", "3").start().await;
    let gateway = &stack.gateways[0].url;
    let first = RawConnection::open_from(gateway, ELSEWHERE).await;
    let _second = RawConnection::open_from(gateway, ELSEWHERE).await;
    let mut socket = RawConnection::open_from(gateway, ELSEWHERE).await;
    socket.upgrade("", "").await;
    RawConnection::open_from(gateway, ELSEWHERE).await.until_gone().await;
    let client = stack.client();
    assert_eq!(reached(&client, "connections-per-ip").await, 1);
    first.reset();
    until("a free place", async || {
        let mut other = RawConnection::open_from(gateway, ELSEWHERE).await;
        let asked = other.try_send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        (asked && other.sip().await).then_some(())
    })
    .await;
}

on_both_deployments!(the_texts_that_a_hero_stores_have_a_rate);
async fn the_texts_that_a_hero_stores_have_a_rate(stack: StackBuilder) {
    let stack = stack.with_tokens().delay("1h").set("GALLEY_WRITE_RATE", "1KiB/h burst 20KiB");
    let (stack, staff, hero, meal) = stack.start_with_hero_and_meal().await;
    let (own, reason) = (stack.hero(hero), "😀".repeat(2_000));
    let mut socket = own.connect_with("").await;
    let cancel = async |reason: &str| {
        let order = id(&own.place(hero, meal).await);
        let path = format!("/orders/{order}/cancel");
        (order, own.post(&path, &json!({"reason": reason})).await)
    };
    cancel(&reason).await.1.is(200);
    cancel(&reason).await.1.is(200);
    let (order, refused) = cancel(&reason).await;
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|wait| wait > 60));
    refused.problem(429, "rate-limited");
    let command = json!({"type": "cancel", "order_id": order, "reason": reason});
    assert_eq!(socket.problem(command).await["type"], TOO_FAST);
    cancel("changed my mind").await.1.is(200);
    socket.reply(json!({"type": "place", "meal_id": meal, "key": "lunch"})).await;
    assert_eq!(reached(&staff, "writes").await, 2);
    let other = staff.create_hero("Other", &[]).await;
    let order = id(&stack.hero(other).place(other, meal).await);
    let path = format!("/orders/{order}/cancel");
    stack.hero(other).post(&path, &json!({"reason": reason})).await.is(200);
}

#[tokio::test]
async fn who_reads_no_answers_gets_no_more_and_costs_little() {
    const MOST: u64 = 48 << 20;
    let stack = TestStack::embedded().with_tokens().start().await;
    let staff = stack.staff();
    let (hero, _) = staff.create_hero_and_meal().await;
    let neighbour = staff.create_hero("Neighbour", &[]).await;
    let text = "x".repeat(2_000);
    for number in 0..100 {
        let name = format!("Meal {number}");
        let meal = json!({"name": name, "price": 1, "origin_planet": "Mars", "description": text});
        staff.post("/meals", &meal).await.is(201);
    }
    let (before, gateway) = (stack.gateways[0].program.resident(), &stack.gateways[0].url);
    let token = signed_token::hero(hero, 3_600);
    let head = format!(
        "GET /meals?limit=100 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    let mut unread = Vec::new();
    for _ in 0..400 {
        let mut connection = RawConnection::open_narrow(gateway, 4_096).await;
        connection.send(head.as_bytes()).await;
        assert!(within("the first bytes of an answer", connection.sip()).await);
        unread.push(connection);
    }
    let refused = reached(&staff, "unread-answers").await;
    assert!(refused > 300, "{refused} of {}", unread.len());
    let grown = stack.gateways[0].program.resident().saturating_sub(before);
    assert!(grown < MOST, "{grown} bytes");
    stack.hero(hero).get("/meals").await.problem(429, "rate-limited");
    stack.hero(neighbour).get("/meals?limit=100").await.is(200);
    drop(unread);
    until("an answer", async || {
        Some(stack.hero(hero).get("/meals").await).filter(|answer| answer.status == 200)
    })
    .await;
}
