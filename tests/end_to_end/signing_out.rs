//! A hero that signs out: its earlier tokens are worth nothing, on every gateway, and the later ones
//! are good.

use std::time::{Duration, Instant};

use galley_tests::json::text;
use galley_tests::redis_server::RedisServer;
use galley_tests::{StackBuilder, TestClient, TestSocket, TestStack, signed_token, until};
use serde_json::json;

/// The longest time until every gateway knows.
const SOON: Duration = Duration::from_secs(2);

/// A token of a hero that was issued so many seconds ago.
fn token(hero: i64, ago: i64) -> String {
    let now = signed_token::now();
    let claims =
        json!({"sub": hero.to_string(), "role": "hero", "iat": now - ago, "exp": now + 3_600});
    signed_token::sign(signed_token::SECRET, &claims)
}

async fn is_closed(mut socket: TestSocket) {
    let (frames, code) = socket.rest().await;
    assert!(frames.is_empty() && code == 4401, "{code}: {frames:?}");
}

/// Signs in until a token is issued after the second of the sign-out.
async fn signs_in(gateway: &TestClient, hero: i64) -> TestClient {
    until("a good token", async || {
        let later = gateway.with_token(&token(hero, 0));
        (later.get("/meals").await.status == 200).then_some(later)
    })
    .await
}

on_both_deployments!(a_hero_that_signs_out_is_out_until_it_signs_in_again);
async fn a_hero_that_signs_out_is_out_until_it_signs_in_again(stack: StackBuilder) {
    let (mut stack, staff, hero, _) =
        stack.with_tokens().workers(0).start_with_hero_and_meal().await;
    let other = staff.create_hero("Ann", &[]).await;
    let old = token(hero, 10);
    let own = stack.client().with_token(&old);
    let socket = own.connect_with("").await;
    let (mut of_staff, mut of_other) =
        (staff.connect(hero).await, stack.hero(other).connect_with("").await);
    let mut events = own.listen(&format!("/heroes/{hero}/events")).await;
    let path = format!("/heroes/{hero}/sign-out");
    stack.hero(other).post(&path, &json!({})).await.problem(404, "hero-not-found");
    staff.post("/heroes/999/sign-out", &json!({})).await.problem(404, "hero-not-found");
    stack.client().post(&path, &json!({})).await.problem(401, "unauthorized");
    assert_eq!(own.post(&path, &json!({})).await.status, 204);
    is_closed(socket).await;
    events.until_end().await;
    let answer = own.get("/meals").await;
    assert!(answer.header("www-authenticate").contains("invalid_token"), "{answer:?}");
    let said = answer.problem(401, "unauthorized");
    assert_eq!(text(&said, "detail"), "the hero of this token has signed out");
    assert_eq!(own.refused("").await.0, 401);
    assert_eq!(stack.hero(hero).get("/meals").await.status, 401, "nor one without `iat`");
    let mut again = signs_in(&stack.client(), hero).await.connect_with("").await;
    for stays in [&mut of_staff, &mut of_other, &mut again] {
        stays.reply(json!({"type": "menu"})).await;
    }
    stack.gateways[0].program.stop().await;
    stack.restart_gateway(0).await;
    let own = stack.client().with_token(&old);
    assert_eq!(own.get("/meals").await.status, 401, "a gateway that starts knows it");
    assert_eq!(signs_in(&stack.client(), hero).await.get("/orders").await.status, 200);
    // Staff may do it as well, and a socket that took a newer token meanwhile counts as newer.
    assert_eq!(stack.staff().post(&path, &json!({})).await.status, 204);
    assert!(stack.staff().metric("galley_refusals_total{cause=\"signed-out\"}").await >= 1);
}

#[tokio::test]
async fn every_gateway_learns_of_a_sign_out_although_no_message_comes() {
    let mut redis = RedisServer::start().await;
    let stack = TestStack::distributed().with_tokens().gateways(2).workers(0).redis(redis.url());
    let (stack, staff, hero, _) = stack.start_with_hero_and_meal().await;
    let far = stack.client_of(1).with_token(&token(hero, 10));
    let socket = far.connect_with("").await;
    let mut events = far.listen(&format!("/heroes/{hero}/events")).await;
    redis.kill();
    let began = Instant::now();
    assert_eq!(staff.post(&format!("/heroes/{hero}/sign-out"), &json!({})).await.status, 204);
    is_closed(socket).await;
    events.until_end().await;
    assert_eq!(far.get("/meals").await.status, 401);
    let took = began.elapsed();
    assert!(took < SOON * 2, "{took:?}, and twice as long as promised at most");
    signs_in(&stack.client_of(1), hero).await;
}

#[tokio::test]
async fn without_tokens_nobody_is_signed_out() {
    let (_stack, client, hero, _) = TestStack::embedded().start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    assert_eq!(client.post(&format!("/heroes/{hero}/sign-out"), &json!({})).await.status, 204);
    socket.reply(json!({"type": "menu"})).await;
}
