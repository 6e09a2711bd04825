//! A hero can read and change only its own orders.

use galley_tests::json::{id, list, text};
use galley_tests::test_client::Call;
use galley_tests::{StackBuilder, TestClient};
use reqwest::Method;
use serde_json::json;

on_both_deployments!(the_order_of_another_hero_is_answered_like_an_unknown_one);
async fn the_order_of_another_hero_is_answered_like_an_unknown_one(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("1h").start_with_hero_and_meal().await;
    let other = client.create_hero("Other", &[]).await;
    let order = client.place_until(hero, meal, "IN_PROGRESS").await;
    let ended = id(&client.place(hero, meal).await);
    client.cancel(ended).await.is(200);
    let unknown = ended + 1_000;
    let mut stranger = client.connect(other).await;
    for command in ["get", "cancel", "delete"] {
        for foreign in [order, ended] {
            let foreign_problem =
                stranger.problem(json!({"type": command, "order_id": foreign})).await;
            let unknown_problem =
                stranger.problem(json!({"type": command, "order_id": unknown})).await;
            let same = foreign_problem.to_string().replace(&foreign.to_string(), "#");
            assert_eq!(
                same,
                unknown_problem.to_string().replace(&unknown.to_string(), "#"),
                "{command}"
            );
        }
    }
    assert!(list(&stranger.reply(json!({"type": "orders"})).await, "items").is_empty());
    assert!(list(&stranger.welcome, "orders").is_empty());
    assert!(stranger.order_frames_so_far().await.is_empty());
    assert_eq!(text(&client.order(order).await, "status"), "IN_PROGRESS");
    assert_eq!(text(&client.order(ended).await, "status"), "CANCELLED");
}

/// A request about an order or a hero, and possibly a meal.
type CallOf = fn(&TestClient, i64, i64) -> Call;

/// The text of an answer without its variable parts and the requested id.
async fn told(call: Call, id: i64) -> String {
    let answer = call.await;
    let mut headers = answer.headers.clone();
    for own in ["date", "x-request-id", "content-length"] {
        headers.remove(own);
    }
    let told = format!("{} {headers:?} {}", answer.status, answer.text);
    told.replace(answer.header("x-request-id"), "").replace(&id.to_string(), "#")
}

on_both_deployments!(with_a_token_another_hero_is_answered_like_an_unknown_one_everywhere);
async fn with_a_token_another_hero_is_answered_like_an_unknown_one_everywhere(stack: StackBuilder) {
    let (stack, staff, hero, meal) =
        stack.with_tokens().delay("1h").start_with_hero_and_meal().await;
    let stranger = stack.hero(staff.create_hero("Other", &[]).await);
    let (active, ended) = (id(&staff.place(hero, meal).await), id(&staff.place(hero, meal).await));
    staff.cancel(ended).await.is(200);
    staff.until_status(active, "IN_PROGRESS").await;
    let before = [staff.order(active).await, staff.order(ended).await];
    let unknown = 7_654_321;
    let of_orders: [CallOf; 7] = [
        |client, order, _| client.get(&format!("/orders/{order}")),
        |client, order, _| client.cancel(order),
        |client, order, _| client.cancel(order).header("If-Match", "\"9\""),
        |client, order, _| {
            client.call(Method::POST, &format!("/orders/{order}/cancel")).header("If-Match", "*")
        },
        |client, order, _| client.delete(&format!("/orders/{order}")),
        |client, order, _| client.delete(&format!("/orders/{order}")).header("If-Match", "\"2\""),
        |client, order, _| client.delete(&format!("/orders/{order}?reason=mine")),
    ];
    for (number, ask) in of_orders.into_iter().enumerate() {
        let expected = told(ask(&stranger, unknown, meal), unknown).await;
        assert!(expected.contains("order-not-found"), "{expected}");
        for order in [active, ended] {
            assert_eq!(
                told(ask(&stranger, order, meal), order).await,
                expected,
                "request {number}"
            );
        }
    }
    let of_heroes: [CallOf; 7] = [
        |client, hero, _| client.get(&format!("/heroes/{hero}")),
        |client, hero, _| client.get(&format!("/heroes/{hero}")).header("If-None-Match", "*"),
        |client, hero, _| client.get(&format!("/heroes/{hero}/orders?limit=1")),
        |client, hero, _| client.get(&format!("/heroes/{hero}/events")),
        |client, hero, _| client.get(&format!("/orders?hero_id={hero}&status=PENDING")),
        |client, hero, meal| client.place_call(hero, meal).header("Idempotency-Key", "mine"),
        |client, hero, _| client.place_call(hero, 7_654_322),
    ];
    for (number, ask) in of_heroes.into_iter().enumerate() {
        let expected = told(ask(&stranger, unknown, meal), unknown).await;
        assert_eq!(told(ask(&stranger, hero, meal), hero).await, expected, "request {number}");
    }
    let (status, mut problem) = stranger.refused(&format!("?hero_id={hero}")).await;
    let mut unknown_hero = stranger.refused(&format!("?hero_id={unknown}")).await;
    for problem in [&mut problem, &mut unknown_hero.1] {
        assert!(problem["instance"].take().is_string(), "each names its own request");
    }
    assert_eq!(
        problem.to_string().replace(&hero.to_string(), "#"),
        unknown_hero.1.to_string().replace(&unknown.to_string(), "#")
    );
    assert_eq!((status, unknown_hero.0), (404, 404));
    assert_eq!([staff.order(active).await, staff.order(ended).await], before);
}

on_both_deployments!(with_a_token_nobody_hears_of_another_hero);
async fn with_a_token_nobody_hears_of_another_hero(stack: StackBuilder) {
    let (stack, staff, hero, meal) =
        stack.with_tokens().delay("0s").start_with_hero_and_meal().await;
    let other = staff.create_hero("Other", &[]).await;
    let stranger = stack.hero(other);
    let (mut socket, mut events) = (
        stranger.connect_with("").await,
        stranger.listen(&format!("/heroes/{other}/events")).await,
    );
    let mut own = stack.hero(hero).connect_with("").await;
    let theirs = id(&own.reply(json!({"type": "place", "meal_id": meal})).await["order"]);
    own.until_status(theirs, "COMPLETED").await;
    // A later update has arrived, so an earlier one would have arrived as well.
    let mine = id(&socket.reply(json!({"type": "place", "meal_id": meal})).await["order"]);
    socket.until_status(mine, "COMPLETED").await;
    assert!(socket.order_frames_so_far().await.iter().all(|order| id(order) == mine));
    let mut seen = events.until_type("order").await;
    while text(&seen["order"], "status") != "COMPLETED" {
        assert_eq!(id(&seen["order"]), mine);
        seen = events.until_type("order").await;
    }
    let read = stranger.all("/orders").await;
    assert_eq!(read.iter().map(id).collect::<Vec<_>>(), [mine]);
}
