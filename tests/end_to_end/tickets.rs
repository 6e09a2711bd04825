//! Tickets: each opens one socket or event stream, for one caller and one page.

use galley_tests::json::text;
use galley_tests::{StackBuilder, TestClient, TestSocket, TestStack, signed_token};
use serde_json::json;

async fn ticket(caller: &TestClient) -> String {
    let answer = caller.post("/tickets", &json!({})).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let issued = answer.is(201);
    assert_eq!(issued["expires_in_ms"], json!(30_000));
    text(&issued, "ticket").to_owned()
}

/// Expects the ticket to open nothing.
async fn is_worthless(gateway: &TestClient, stream: &str, ticket: &str) {
    let answer = gateway.get(&format!("{stream}?ticket={ticket}")).await;
    let problem = answer.problem(401, "unauthorized");
    assert!(text(&problem, "detail").starts_with("the ticket is"), "{problem}");
    assert!(!problem.to_string().contains(ticket), "{problem}");
    // A page cannot see the status of a handshake, so it gets a frame and a close code.
    let handshake = gateway.handshake(&format!("?ticket={ticket}"));
    let mut socket = TestSocket::knock(handshake).await.expect("an open socket");
    assert_eq!(text(&socket.next().await["problem"], "type"), "/problems/unauthorized");
    assert_eq!(socket.close_code().await, 4401);
}

on_both_deployments!(a_ticket_opens_one_stream_for_its_caller);
async fn a_ticket_opens_one_stream_for_its_caller(stack: StackBuilder) {
    let (stack, staff, hero, meal) =
        stack.with_tokens().workers(0).start_with_hero_and_meal().await;
    let other = staff.create_hero("Ann", &[]).await;
    let (own, nobody) = (stack.hero(hero), stack.client());
    let stream = format!("/heroes/{hero}/events");
    nobody.post("/tickets", &json!({})).await.problem(401, "unauthorized");

    let of_hero = ticket(&own).await;
    let events = nobody.listen(&format!("{stream}?ticket={of_hero}")).await;
    assert_eq!(events.welcome["hero"]["id"], json!(hero));
    is_worthless(&nobody, &stream, &of_hero).await;

    let of_socket = ticket(&own).await;
    let mut socket = nobody.connect_with(&format!("?ticket={of_socket}")).await;
    assert_eq!(socket.welcome["hero"]["id"], json!(hero));
    socket.reply(json!({"type": "place", "meal_id": meal})).await;
    is_worthless(&nobody, &stream, &of_socket).await;

    let of_staff = ticket(&staff).await;
    let feed = nobody.listen(&format!("/events?ticket={of_staff}")).await;
    assert!(feed.welcome["hero"].is_null());
    let answer = nobody.get(&format!("/events?ticket={}", ticket(&own).await)).await;
    answer.problem(403, "forbidden");
    let answer = nobody.get(&format!("/heroes/{other}/events?ticket={}", ticket(&own).await)).await;
    answer.problem(404, "hero-not-found");
    // Only streams take tickets.
    let unused = ticket(&own).await;
    let answer = nobody.get(&format!("/orders?ticket={unused}")).await;
    answer.problem(401, "unauthorized");
    is_worthless(&nobody, &stream, "made-up").await;
    let log = stack.gateways[0].program.log();
    assert!(![&of_hero, &of_socket, &of_staff].iter().any(|ticket| log.contains(ticket.as_str())));
}

on_both_deployments!(a_ticket_is_of_one_page_and_ends_with_its_token);
async fn a_ticket_is_of_one_page_and_ends_with_its_token(stack: StackBuilder) {
    let page = "https://dashboard.example";
    let stack = stack
        .with_tokens()
        .workers(0)
        .set("GALLEY_ALLOWED_ORIGINS", "https://dashboard.example,https://other.example");
    let (stack, _, hero, _) = stack.start_with_hero_and_meal().await;
    let (own, nobody) = (stack.hero(hero), stack.client());
    let stream = format!("/heroes/{hero}/events");
    let of_page = async || {
        let answer = own.post("/tickets", &json!({})).header("Origin", page).await;
        text(&answer.is(201), "ticket").to_owned()
    };
    let status = async |ticket: String, headers: &[(&str, &str)]| {
        let call = nobody.get(&format!("{stream}?ticket={ticket}"));
        let call = headers.iter().fold(call, |call, (name, value)| call.header(name, value));
        match call.listen().await {
            Ok(_) => 200,
            Err(answer) => answer.status,
        }
    };
    assert_eq!(status(of_page().await, &[("Origin", page)]).await, 200);
    assert_eq!(status(of_page().await, &[("Sec-Fetch-Site", "same-origin")]).await, 200);
    assert_eq!(status(of_page().await, &[("Origin", "https://other.example")]).await, 401);
    assert_eq!(status(of_page().await, &[("Sec-Fetch-Site", "same-site")]).await, 401);
    assert_eq!(status(ticket(&own).await, &[("Origin", page)]).await, 401, "made for no page");

    // Sockets that a ticket opened are those of its token.
    let claims = json!({
        "sub": hero.to_string(), "role": "hero",
        "iat": signed_token::now() - 10, "exp": signed_token::now() + 60,
    });
    let signed_in = nobody.with_token(&signed_token::sign(signed_token::SECRET, &claims));
    let (used, kept) = (ticket(&signed_in).await, ticket(&signed_in).await);
    let mut socket = nobody.connect_with(&format!("?ticket={used}")).await;
    assert_eq!(
        stack.staff().post(&format!("/heroes/{hero}/sign-out"), &json!({})).await.status,
        204
    );
    assert_eq!(socket.close_code().await, 4401);
    let answer = nobody.get(&format!("{stream}?ticket={kept}")).await.problem(401, "unauthorized");
    assert_eq!(text(&answer, "detail"), "the hero of this token has signed out");
}

#[tokio::test]
async fn every_gateway_takes_a_ticket_and_only_one_of_them() {
    let stack = TestStack::distributed().with_tokens().gateways(2).workers(0);
    let (stack, _, hero, _) = stack.start_with_hero_and_meal().await;
    let made = ticket(&stack.hero(hero)).await;
    stack.client_of(1).connect_with(&format!("?ticket={made}")).await;
    is_worthless(&stack.client(), &format!("/heroes/{hero}/events"), &made).await;
}

#[tokio::test]
async fn without_tokens_a_ticket_is_needed_nowhere_and_does_no_harm() {
    let (stack, client, hero, _) = TestStack::embedded().start_with_hero_and_meal().await;
    let unused = ticket(&client).await;
    let events = client.listen(&format!("/heroes/{hero}/events?ticket={unused}")).await;
    assert_eq!(events.welcome["hero"]["id"], json!(hero));
    drop(stack);
}
