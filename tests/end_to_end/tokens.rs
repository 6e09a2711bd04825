//! Tokens: which are valid, where they are accepted, and how they expire and are renewed.

use galley_tests::json::{id, list, text};
use galley_tests::{StackBuilder, TestClient, TestSocket, TestStack, signed_token};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::Request;

/// The life of a token that expires during a test, in seconds: enough to connect on a busy machine.
const SHORT: i64 = 8;
const SUBPROTOCOL: &str = "sec-websocket-protocol";

/// A handshake without a token in the header.
fn bare(client: &TestClient, query: &str) -> Request {
    TestClient::new(client.base()).handshake(query)
}

fn offering(client: &TestClient, token: &str) -> Request {
    let mut request = bare(client, "");
    let offered = format!("galley.v1, bearer.{token}").try_into().expect("a header");
    request.headers_mut().insert(SUBPROTOCOL, offered);
    request
}

fn auth(token: &str) -> String {
    json!({"type": "auth", "id": "first", "token": token}).to_string()
}

/// Every kind of invalid token, each with the reason.
fn bad_tokens(hero: i64) -> Vec<(&'static str, String)> {
    let good = json!({"sub": hero.to_string(), "role": "hero", "exp": signed_token::now() + 3_600});
    let with = |field: &str, value: Value| {
        let mut claims = good.clone();
        claims[field] = value;
        signed_token::sign(signed_token::SECRET, &claims)
    };
    let without = |field: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().expect("claims").remove(field);
        signed_token::sign(signed_token::SECRET, &claims)
    };
    let header = |header: Value| signed_token::sign_with(signed_token::SECRET, &header, &good);
    let signed = signed_token::sign(signed_token::SECRET, &good);
    let (head, signature) = signed.rsplit_once('.').expect("three parts");
    let other = signed_token::unsigned(
        &json!({"alg": "HS256", "typ": "JWT"}),
        &json!({"role": "staff", "exp": signed_token::now() + 3_600}),
    );
    vec![
        ("expired", with("exp", json!(signed_token::now() - 10))),
        ("not yet", with("nbf", json!(signed_token::now() + 60))),
        ("without an end", without("exp")),
        ("without a role", without("role")),
        ("of an unknown role", with("role", json!("admin"))),
        ("of nobody", without("sub")),
        ("of no hero", with("sub", json!("zero"))),
        ("for another service", with("aud", json!("kitchen"))),
        ("alg none", format!("{}.", signed_token::unsigned(&json!({"alg": "none"}), &good))),
        ("alg none, signed", header(json!({"alg": "none"}))),
        ("alg HS512", signed_token::sign_longer(signed_token::SECRET, &good)),
        ("alg HS512 in name", header(json!({"alg": "HS512"}))),
        ("alg RS256 in name", header(json!({"alg": "RS256"}))),
        ("a critical extension", header(json!({"alg": "HS256", "crit": ["b64"], "b64": false}))),
        (
            "of another secret",
            signed_token::sign("another secret, just as long as it must be", &good),
        ),
        ("another payload", format!("{other}.{signature}")),
        ("without a signature", head.to_owned()),
        ("a part too many", format!("{signed}.{signature}")),
        ("garbage", "garbage".to_owned()),
        ("too long", format!("{signed}{}", "A".repeat(5_000))),
    ]
}

/// Expects a refusal with status 401, and the close.
async fn is_sent_away(mut socket: TestSocket, why: &str) {
    let refused = socket.next().await;
    let expected = ("error", &json!(401));
    assert_eq!((text(&refused, "type"), &refused["problem"]["status"]), expected, "{why}");
    assert_eq!(socket.close_code().await, 4401, "{why}");
}

on_both_deployments!(a_bad_token_opens_nothing);
async fn a_bad_token_opens_nothing(stack: StackBuilder) {
    let stack = stack.with_tokens().delay("1h").start().await;
    let (hero, _) = stack.staff().create_hero_and_meal().await;
    let bad = bad_tokens(hero);
    for (why, token) in &bad {
        let client = stack.client().with_token(token);
        for path in [
            "/orders".to_owned(),
            "/meals".to_owned(),
            "/metrics".to_owned(),
            format!("/heroes/{hero}/events"),
        ] {
            let answer = client.get(&path).await;
            assert!(!answer.text.contains(token.as_str()), "{why}: {}", answer.text);
            answer.problem(401, "unauthorized");
        }
        let (status, problem) = client.refused("").await;
        assert_eq!((status, text(&problem, "type")), (401, "/problems/unauthorized"), "{why}");
        // A page cannot see the status of a handshake, so it gets a frame and a close code.
        let mut page = TestSocket::knock(offering(&client, token)).await.expect("an open socket");
        assert_eq!(text(&page.next().await["problem"], "type"), "/problems/unauthorized", "{why}");
        assert_eq!(page.close_code().await, 4401, "{why}");
        let mut late = TestSocket::knock(bare(&client, "")).await.expect("an open socket");
        late.say(&auth(token)).await;
        is_sent_away(late, why).await;
    }
    let staff = stack.staff();
    assert_eq!(staff.metric("galley_sockets").await, 0);
    let refused = staff.metric("galley_refusals_total{cause=\"expired-token\"}").await;
    assert_eq!(refused, 7, "by REST, as an event stream, and by socket in three ways");
}

on_both_deployments!(a_token_stands_where_it_belongs_and_nowhere_else);
async fn a_token_stands_where_it_belongs_and_nowhere_else(stack: StackBuilder) {
    let stack = stack.with_tokens().delay("1h").start().await;
    let (hero, meal) = stack.staff().create_hero_and_meal().await;
    let token = signed_token::hero(hero, 3_600);
    let nobody = stack.client();
    // A token in the query would end up in the logs of every proxy.
    for name in ["token", "access_token", "bearer", "authorization"] {
        for path in ["/orders".to_owned(), format!("/heroes/{hero}/events"), "/ws".to_owned()] {
            let query = format!("{path}?{name}={token}");
            let (status, problem) = if path == "/ws" {
                nobody.refused(&format!("?{name}={token}")).await
            } else {
                let answer = nobody.get(&query).await;
                (answer.status, answer.json())
            };
            assert!(status == 400 || status == 401, "{query}: {status}");
            assert!(!problem.to_string().contains(&token), "{problem}");
        }
    }
    for (header, value) in [
        ("Cookie", format!("token={token}; Authorization=Bearer {token}")),
        ("Authorization", token.clone()),
        ("Authorization", format!("Basic {token}")),
        ("X-Authorization", format!("Bearer {token}")),
        ("Proxy-Authorization", format!("Bearer {token}")),
    ] {
        nobody.get("/orders").header(header, &value).await.problem(401, "unauthorized");
    }
    let twice =
        stack.hero(hero).get("/orders").header("Authorization", &format!("Bearer {token}")).await;
    twice.problem(401, "unauthorized");
    let mut both = offering(&nobody, &token);
    both.headers_mut()
        .insert("authorization", format!("Bearer {token}").try_into().expect("a header"));
    assert!(TestSocket::knock(both).await.is_err(), "one token, in one place");

    let mut offered = TestSocket::open(offering(&nobody, &token)).await.expect("a welcome");
    let mut late = TestSocket::knock(bare(&nobody, "")).await.expect("an open socket");
    late.say(&auth(&token)).await;
    assert_eq!(text(&late.next().await, "type"), "welcome");
    let reply = late.next().await;
    assert_eq!((&reply["id"], &reply["authenticated"]), (&json!("first"), &json!(true)));
    let mut words = TestSocket::knock(bare(&nobody, "")).await.expect("an open socket");
    words.say(&format!("auth {token}")).await;
    assert_eq!(words.next().await["hero"]["id"], hero);
    assert_eq!(offered.welcome["hero"]["id"], hero);
    let order = id(&offered.reply(json!({"type": "place", "meal_id": meal})).await["order"]);
    for socket in [&mut offered, &mut late, &mut words] {
        socket.until_status(order, "PENDING").await;
    }
}

#[tokio::test]
async fn a_socket_without_a_token_hears_nothing_and_does_not_stay() {
    let (_stack, staff, hero, meal) =
        TestStack::embedded().with_tokens().delay("1h").start_with_hero_and_meal().await;
    let mut silent =
        TestSocket::knock(bare(&staff, &format!("?hero_id={hero}"))).await.expect("an open socket");
    silent.send(Message::Ping("still here".into())).await;
    staff.place(hero, meal).await;
    for first in [r#"{"type":"orders","id":1}"#, "menu", "{", r#"{"type":"auth"}"#, "auth"] {
        let mut wrong = TestSocket::knock(bare(&staff, "")).await.expect("an open socket");
        wrong.say(first).await;
        is_sent_away(wrong, first).await;
    }
    assert_eq!(silent.rest().await, (Vec::new(), 4408), "of the order there was no word");
    let refused = staff.metric("galley_refusals_total{cause=\"auth-timeout\"}").await;
    assert_eq!((refused, staff.metric("galley_sockets").await), (1, 0));
}

#[tokio::test]
async fn who_is_kept_out_after_its_token_is_told_why() {
    let stack =
        TestStack::embedded().with_tokens().set("GALLEY_MAX_SOCKETS_PER_HERO", "1").start().await;
    let staff = stack.staff();
    let (hero, other) =
        (staff.create_hero("Zoé", &[]).await, staff.create_hero("Other", &[]).await);
    let _place = stack.hero(hero).connect_with("").await;
    let own = signed_token::hero(hero, 3_600);
    for (query, token, status, code) in [
        (String::new(), &signed_token::hero(other + 1, 3_600), 404, 1008),
        (format!("?hero_id={other}"), &own, 404, 1008),
        (String::new(), &own, 429, 1013),
    ] {
        let mut socket = TestSocket::knock(bare(&staff, &query)).await.expect("an open socket");
        socket.say(&auth(token)).await;
        let refused = socket.next().await;
        assert_eq!(
            (&refused["id"], &refused["problem"]["status"]),
            (&json!("first"), &json!(status))
        );
        assert_eq!(socket.close_code().await, code, "{refused}");
    }
    assert_eq!(staff.metric("galley_sockets").await, 1);
}

#[tokio::test]
async fn a_gateway_that_leaves_does_not_wait_for_a_token() {
    let mut stack = TestStack::embedded().with_tokens().start().await;
    let mut late = TestSocket::knock(bare(&stack.client(), "")).await.expect("an open socket");
    stack.gateways[0].program.signal(galley_tests::program::Signal::TERM);
    assert_eq!(late.close_code().await, 1012);
    assert_eq!(stack.gateways[0].program.exit().await.code(), Some(0));
}

on_both_deployments!(the_end_of_a_token_is_told_and_the_cursor_outlives_it);
async fn the_end_of_a_token_is_told_and_the_cursor_outlives_it(stack: StackBuilder) {
    let (stack, staff, hero, meal) =
        stack.with_tokens().workers(0).delay("1h").start_with_hero_and_meal().await;
    let short = stack.client().with_token(&signed_token::hero(hero, SHORT));
    let mut socket = short.connect_with("").await;
    let after = socket.until_type("expiring").await["after_ms"].as_u64().expect("a number");
    assert!(after <= 10_000, "{after}");
    let seen = id(&socket.reply(json!({"type": "place", "meal_id": meal})).await["order"]);
    let cursor = text(
        &socket
            .until("the frame of the order", |frame| {
                frame["order"]["id"] == seen && frame["type"] == "order"
            })
            .await,
        "cursor",
    )
    .to_owned();
    assert_eq!(socket.close_code().await, 4401);
    let missed = id(&staff.place(hero, meal).await);

    assert_eq!(short.refused(&format!("?cursor={cursor}")).await.0, 401);
    let back = stack.hero(hero).connect_with(&format!("?cursor={cursor}")).await;
    assert_eq!(text(&back.welcome, "resume"), "resumed");
    assert!(
        list(&back.welcome, "orders").iter().any(|order| id(order) == missed),
        "{}",
        back.welcome
    );
    let mut late = TestSocket::knock(bare(&staff, &format!("?cursor={cursor}")))
        .await
        .expect("an open socket");
    late.say(&auth(&signed_token::hero(hero, 3_600))).await;
    assert_eq!(text(&late.next().await, "resume"), "resumed", "the cursor of the handshake counts");
}

#[tokio::test]
async fn the_end_of_a_token_is_told_a_minute_ahead() {
    let stack = TestStack::embedded().with_tokens().start().await;
    let mut socket = stack.client().with_token(&signed_token::staff(75)).connect_with("").await;
    assert_eq!(socket.ask(json!({"type": "ping"})).await["type"], "pong");
    assert!(socket.try_next().is_none(), "too early");
    let after = socket.until_type("expiring").await["after_ms"].as_u64().expect("a number");
    assert!((40_000..=60_000).contains(&after), "{after}");
}

on_both_deployments!(a_token_is_renewed_on_the_open_socket);
async fn a_token_is_renewed_on_the_open_socket(stack: StackBuilder) {
    let (stack, staff, hero, meal) =
        stack.with_tokens().workers(0).delay("1h").start_with_hero_and_meal().await;
    let other = staff.create_hero("Other", &[]).await;
    let short = stack.client().with_token(&signed_token::hero(hero, SHORT));
    let (mut renewed, mut ending) = (short.connect_with("").await, short.connect_with("").await);
    renewed.until_type("expiring").await;
    let reply =
        renewed.reply(json!({"type": "auth", "token": signed_token::hero(hero, 3_600)})).await;
    assert!(reply["authenticated"] == true && text(&reply, "expires_at").ends_with('Z'), "{reply}");
    assert_eq!(ending.close_code().await, 4401);
    let order = id(&renewed.reply(json!({"type": "place", "meal_id": meal})).await["order"]);
    renewed.until_status(order, "PENDING").await;

    for (token, status, code) in [
        (signed_token::hero(other, 3_600), 403, 4403),
        (signed_token::staff(3_600), 403, 4403),
        (signed_token::hero(hero, -60), 401, 4401),
        ("garbage".to_owned(), 401, 4401),
    ] {
        let mut socket = stack.hero(hero).connect_with("").await;
        assert_eq!(socket.problem(json!({"type": "auth", "token": token})).await["status"], status);
        assert_eq!(socket.close_code().await, code);
    }
    let mut watcher = staff.connect_with("").await;
    assert_eq!(
        watcher.reply(json!({"type": "auth", "token": signed_token::staff(60)})).await["authenticated"],
        true
    );
    assert_eq!(
        watcher.problem(json!({"type": "auth", "token": signed_token::hero(hero, 60)})).await["status"],
        403
    );
    assert_eq!(watcher.close_code().await, 4403);
}

on_both_deployments!(an_event_stream_ends_with_its_token);
async fn an_event_stream_ends_with_its_token(stack: StackBuilder) {
    let (stack, staff, hero, meal) =
        stack.with_tokens().workers(0).delay("1h").start_with_hero_and_meal().await;
    let path = format!("/heroes/{hero}/events");
    let short = stack.client().with_token(&signed_token::hero(hero, SHORT));
    let (mut events, mut feed) = (
        short.listen(&path).await,
        stack.client().with_token(&signed_token::staff(SHORT)).listen("/events").await,
    );
    for stream in [&mut events, &mut feed] {
        stream.until_type("expiring").await;
        stream.until_end().await;
    }
    let missed = id(&staff.place(hero, meal).await);
    short.get(&path).await.problem(401, "unauthorized");
    let last = events.last_event_id.clone();
    let back = stack
        .hero(hero)
        .get(&path)
        .header("Last-Event-ID", &last)
        .listen()
        .await
        .expect("a stream");
    assert_eq!(text(&back.welcome, "resume"), "resumed");
    assert_eq!(list(&back.welcome, "orders").iter().map(id).collect::<Vec<_>>(), [missed]);
}

#[tokio::test]
async fn the_command_line_makes_tokens_and_shows_them() {
    let stack = TestStack::embedded().with_tokens().seeded().start().await;
    let nobody = stack.client();
    let folder = stack.folder();
    let secret = folder.join("secret");
    std::fs::write(&secret, format!("{}\n", signed_token::SECRET)).expect("a file");
    let secret = [("GALLEY_JWT_SECRET_FILE", secret.to_str().expect("UTF-8"))];
    let make = async |arguments: &[&str]| {
        let said = galley_tests::command_output::run("galley", arguments, &secret).await;
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{said:?}");
        said.stdout.trim().to_owned()
    };
    let (hero, staff) =
        (make(&["token", "--hero", "1"]).await, make(&["token", "--staff", "--ttl", "5m"]).await);
    let said = nobody.galley(&["meal", "list"]).await;
    assert!(said.code == 7 && said.stderr.contains("send a token"), "{said:?}");
    let hero = nobody.with_token(&hero);
    assert_eq!(list(&hero.galley_json(&["meal", "list"]).await, "items").len(), 12);
    let order = hero.galley_json(&["order", "place", "--hero", "1", "--meal", "12"]).await;
    assert_eq!(order["hero_id"], 1);
    let said = hero.galley(&["hero", "list"]).await;
    assert!(said.code == 7 && said.stderr.contains("only staff"), "{said:?}");
    let file = folder.join("token");
    std::fs::write(&file, format!("{staff}\n")).expect("a file");
    let file = file.to_str().expect("UTF-8");
    assert_eq!(
        list(&nobody.galley_json(&["hero", "list", "--token-file", file]).await, "items").len(),
        6
    );
    let mut watch = galley_tests::program::command(galley_tests::program::path_of("galley"));
    watch
        .env("GALLEY_URL", nobody.base())
        .env("GALLEY_TOKEN_FILE", file)
        .args(["watch", "--hero", "1"]);
    galley_tests::TestProgram::start("galley watch", &mut watch)
        .line("watching the orders of")
        .await;
    for (arguments, part) in [
        (&["token", "--staff", "--hero", "1"][..], "cannot be used with"),
        (&["token"], "required"),
        (&["token", "--staff", "--ttl", "31days"], "30days"),
    ] {
        let said = galley_tests::command_output::run("galley", arguments, &secret).await;
        assert!(said.code == 2 && said.stderr.contains(part), "{said:?}");
    }
}
