//! A changed hero and a changed menu are pushed to the sockets and event streams, from whichever
//! gateway the change comes.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use galley_tests::json::{id, list, version};
use galley_tests::redis_server::RedisServer;
use galley_tests::{StackBuilder, TestClient, TestSocket, TestStack};
use serde_json::{Value, json};

/// The longest time of a push while Redis is away.
const WITHOUT_MESSAGE: Duration = Duration::from_secs(10);

async fn patch_hero(client: &TestClient, hero: i64, allergies: &[&str]) -> Value {
    client.patch(&format!("/heroes/{hero}"), &json!({"allergies": allergies})).await.is(200)
}

async fn patch_meal(client: &TestClient, meal: i64, price: f64) {
    client.patch(&format!("/meals/{meal}"), &json!({"price": price})).await.is(200);
}

/// Waits for menu frames that name this meal in this list.
async fn until_named(socket: &mut TestSocket, field: &str, meal: i64) {
    while !list(&socket.until_menu().await, field).contains(&json!(meal)) {}
}

on_both_deployments!(a_changed_hero_is_pushed_to_its_own_sockets_and_streams_and_to_no_other);
async fn a_changed_hero_is_pushed_to_its_own_sockets_and_streams_and_to_no_other(
    stack: StackBuilder,
) {
    let (stack, staff, hero, _) = stack.with_tokens().workers(0).start_with_hero_and_meal().await;
    let other = staff.create_hero("Ann", &[]).await;
    let own = stack.hero(hero);
    let mut socket = own.connect_with("").await;
    let mut events = own.listen(&format!("/heroes/{hero}/events")).await;
    let mut strangers = [stack.hero(other).connect_with("").await, staff.connect_with("").await];
    let mut foreign = stack.hero(other).listen(&format!("/heroes/{other}/events")).await;
    for (number, allergies) in (2..).zip([&["milk"][..], &["milk", "nut"], &[]]) {
        let changed = patch_hero(&staff, hero, allergies).await;
        for frame in [socket.until_type("hero").await, events.until_type("hero").await] {
            assert_eq!((&frame["hero"], version(&frame["hero"])), (&changed, number));
        }
    }
    patch_hero(&staff, other, &["milk"]).await;
    assert_eq!(id(&strangers[0].until_type("hero").await["hero"]), other);
    assert_eq!(id(&foreign.until_type("hero").await["hero"]), other);
    for stranger in &mut strangers {
        stranger.reply(json!({"type": "menu"})).await;
        assert_eq!(stranger.try_next(), None);
    }
}

on_both_deployments!(a_changed_menu_is_pushed_to_everybody);
async fn a_changed_menu_is_pushed_to_everybody(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.workers(0).start_with_hero_and_meal().await;
    let mut sockets = [client.connect(hero).await, client.connect_with("").await];
    let (of_hero, of_staff) = (format!("/heroes/{hero}/events"), "/events".to_owned());
    let mut streams = [client.listen(&of_hero).await, client.listen(&of_staff).await];
    let new = client.create_meal("Stew", &["beef"]).await;
    for socket in &mut sockets {
        until_named(socket, "changed", new).await;
    }
    for stream in &mut streams {
        while !list(&stream.until_menu().await, "changed").contains(&json!(new)) {}
    }
    patch_meal(&client, meal, 3.5).await;
    assert_eq!(client.delete(&format!("/meals/{new}")).await.status, 204);
    for socket in &mut sockets {
        until_named(socket, "deleted", new).await;
    }
}

#[tokio::test]
async fn changes_reach_the_sockets_of_another_gateway() {
    let stack = TestStack::distributed().gateways(2).workers(0);
    let (stack, client, hero, meal) = stack.start_with_hero_and_meal().await;
    let mut far = stack.client_of(1).connect(hero).await;
    let changed = patch_hero(&client, hero, &["milk"]).await;
    assert_eq!(far.until_type("hero").await["hero"], changed);
    patch_meal(&client, meal, 3.5).await;
    until_named(&mut far, "changed", meal).await;
}

#[tokio::test]
async fn without_redis_changes_reach_every_gateway_and_nothing_is_lost() {
    let mut redis = RedisServer::start().await;
    let stack = TestStack::distributed().gateways(2).workers(0).redis(redis.url());
    let (stack, client, hero, meal) = stack.start_with_hero_and_meal().await;
    let mut sockets = [client.connect(hero).await, stack.client_of(1).connect(hero).await];
    redis.kill();
    let began = Instant::now();
    let changed = patch_hero(&client, hero, &["milk"]).await;
    patch_meal(&client, meal, 3.5).await;
    for socket in &mut sockets {
        assert_eq!(socket.until_type("hero").await["hero"], changed);
        until_named(socket, "changed", meal).await;
    }
    assert!(began.elapsed() < WITHOUT_MESSAGE, "{:?}", began.elapsed());
    redis.restart().await;
    assert_eq!(client.delete(&format!("/meals/{meal}")).await.status, 204);
    for socket in &mut sockets {
        until_named(socket, "deleted", meal).await;
    }
}

on_both_deployments!(a_burst_of_changes_is_merged_to_one_frame_a_second);
async fn a_burst_of_changes_is_merged_to_one_frame_a_second(stack: StackBuilder) {
    const CHANGES: usize = 500;
    let (_stack, client, hero, meal) = stack.workers(0).start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    let began = Instant::now();
    let creating = (0..5).map(async |part| {
        let mut meals = Vec::new();
        for number in 0..CHANGES / 5 {
            meals.push(client.create_meal(&format!("Meal {part} {number}"), &[]).await);
        }
        meals
    });
    let mut missing: Vec<i64> = join_all(creating).await.concat();
    patch_meal(&client, meal, 3.5).await;
    missing.push(meal);
    let mut frames = 0;
    while !missing.is_empty() {
        let menu = socket.until_menu().await;
        frames += 1;
        missing.retain(|meal| !list(&menu, "changed").contains(&json!(meal)));
    }
    let seconds = began.elapsed().as_secs();
    // One at the beginning, and one at the end of the last second.
    assert!(frames <= seconds + 2, "{frames} frames in {seconds} s");
}
