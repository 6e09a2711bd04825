//! A hero that was deleted is out: its sockets and event streams end, and its tokens are worth
//! nothing, on every gateway.

use std::time::{Duration, Instant};

use galley_tests::json::text;
use galley_tests::redis_server::RedisServer;
use galley_tests::{StackBuilder, TestClient, TestSocket, TestStack, signed_token, until};
use serde_json::json;

/// The longest time until every gateway knows.
const SOON: Duration = Duration::from_secs(10);

async fn delete(gateway: &TestClient, hero: i64) {
    assert_eq!(gateway.delete(&format!("/heroes/{hero}")).await.status, 204);
}

/// Expects the socket to be closed with 1008, without another frame.
async fn is_closed(mut socket: TestSocket) {
    let (frames, code) = socket.rest().await;
    assert!(frames.is_empty() && code == 1008, "{code}: {frames:?}");
}

/// Waits until the gateway refuses the token, in every place that takes one.
async fn is_refused(gateway: &TestClient, hero: i64) {
    let token = signed_token::hero(hero, 3_600);
    let gone = gateway.with_token(&token);
    until("a refused token", async || (gone.get("/meals").await.status == 401).then_some(())).await;
    for path in ["/orders", "/meals", &format!("/heroes/{hero}"), &format!("/heroes/{hero}/events")]
    {
        let answer = gone.get(path).await;
        assert!(answer.header("www-authenticate").contains("invalid_token"), "{answer:?}");
        let problem = answer.problem(401, "unauthorized");
        assert_eq!(text(&problem, "detail"), "the hero of this token was deleted");
    }
    assert_eq!(gone.refused("").await.0, 401);
    let mut late = TestSocket::knock(gateway.handshake("")).await.expect("an open socket");
    late.say(&json!({"type": "auth", "token": token}).to_string()).await;
    assert_eq!(text(&late.next().await["problem"], "type"), "/problems/unauthorized");
    assert_eq!(late.close_code().await, 4401);
}

on_both_deployments!(a_deleted_hero_loses_its_sockets_its_streams_and_its_tokens);
async fn a_deleted_hero_loses_its_sockets_its_streams_and_its_tokens(stack: StackBuilder) {
    let (mut stack, staff, hero, _) =
        stack.with_tokens().workers(0).start_with_hero_and_meal().await;
    let other = staff.create_hero("Ann", &[]).await;
    let own = stack.hero(hero);
    let (socket, mut stays) =
        (own.connect_with("").await, stack.hero(other).connect_with("").await);
    let of_staff = staff.connect(hero).await;
    let mut events = own.listen(&format!("/heroes/{hero}/events")).await;
    delete(&staff, hero).await;
    is_closed(socket).await;
    is_closed(of_staff).await;
    events.until_end().await;
    assert_eq!(own.get("/meals").await.status, 401, "at once on this gateway");
    is_refused(&stack.client(), hero).await;
    stays.reply(json!({"type": "menu"})).await;
    assert!(staff.metric("galley_refusals_total{cause=\"hero-gone\"}").await >= 6);
    stack.gateways[0].program.stop().await;
    stack.restart_gateway(0).await;
    let restarted = stack.hero(hero).get("/meals").await;
    assert_eq!(restarted.status, 401, "a gateway that starts knows it from its first answer");
}

#[tokio::test]
async fn every_gateway_learns_of_it_although_no_message_comes() {
    let mut redis = RedisServer::start().await;
    let stack = TestStack::distributed().with_tokens().gateways(2).workers(0).redis(redis.url());
    let (stack, staff, hero, _) = stack.start_with_hero_and_meal().await;
    let token = signed_token::hero(hero, 3_600);
    let far = stack.client_of(1).with_token(&token);
    let socket = far.connect_with("").await;
    let mut events = far.listen(&format!("/heroes/{hero}/events")).await;
    redis.kill();
    let began = Instant::now();
    delete(&staff, hero).await;
    is_closed(socket).await;
    events.until_end().await;
    is_refused(&stack.client_of(1), hero).await;
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[tokio::test]
async fn without_tokens_its_sockets_are_closed_and_none_is_opened_again() {
    let stack = TestStack::distributed().gateways(2).workers(0);
    let (stack, client, hero, _) = stack.start_with_hero_and_meal().await;
    let far = stack.client_of(1);
    let sockets = [client.connect(hero).await, far.connect(hero).await];
    delete(&client, hero).await;
    for socket in sockets {
        is_closed(socket).await;
    }
    for gateway in [&client, &far] {
        let (status, problem) = gateway.refused(&format!("?hero_id={hero}")).await;
        assert_eq!((status, text(&problem, "type")), (404, "/problems/hero-not-found"));
        gateway.get(&format!("/heroes/{hero}/events")).await.problem(404, "hero-not-found");
    }
}

#[tokio::test]
async fn a_watch_of_a_hero_that_is_deleted_ends() {
    let (stack, client, hero, _) = TestStack::embedded().start_with_hero_and_meal().await;
    let mut watch = galley_tests::program::command(galley_tests::program::path_of("galley"));
    watch.env("GALLEY_URL", client.base()).args(["watch", "--lines", "--hero", &hero.to_string()]);
    let mut watch = galley_tests::TestProgram::start("galley watch", &mut watch);
    watch.line("watching the orders of").await;
    delete(&client, hero).await;
    assert_eq!(watch.exit().await.code(), Some(3), "{}", watch.log());
    assert!(watch.log().contains(&format!("there is no hero {hero}")), "{}", watch.log());
    drop(stack);
}
