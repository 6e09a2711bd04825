//! Several gateways behave as one service.

use futures_util::future::join_all;
use galley_tests::TestStack;
use galley_tests::json::{id, text};
use serde_json::json;

#[tokio::test]
async fn an_order_placed_at_one_gateway_is_seen_at_another() {
    let stack = TestStack::distributed().gateways(2).delay("50ms").start().await;
    let (one, two) = (stack.client_of(0), stack.client_of(1));
    let (hero, meal) = one.create_hero_and_meal().await;
    let mut socket = two.connect(hero).await;
    let order = id(&one.place(hero, meal).await);
    socket.follow(&["PENDING", "IN_PROGRESS", "COMPLETED"]).await;
    let cursor = text(&socket.welcome, "cursor").to_owned();
    assert_eq!(two.delete(&format!("/orders/{order}")).await.status, 204);
    assert_eq!(
        one.resume(hero, &cursor).await.welcome["deleted"],
        json!([{"order_id": order, "version": 4}])
    );
    let mut staff = one.connect_with("").await;
    staff.reply(json!({"type": "watch", "max_rate": 50})).await;
    let order = id(&two.place(hero, meal).await);
    staff
        .until("the feed", |frame| frame["type"] == "feed" && frame["orders"][0]["id"] == order)
        .await;
}

#[tokio::test]
async fn one_key_at_two_gateways_places_one_order() {
    let stack = TestStack::distributed().gateways(2).workers(0).start().await;
    let clients = [stack.client_of(0), stack.client_of(1)];
    let (hero, meal) = clients[0].create_hero_and_meal().await;
    let body = json!({"hero_id": hero, "meal_id": meal});
    let place =
        |at: usize| clients[at % 2].post("/orders", &body).header("Idempotency-Key", "once");
    let answers = join_all((0..40).map(|at| place(at).into_future())).await;
    let orders: Vec<i64> = answers.into_iter().map(|answer| id(&answer.is(202))).collect();
    assert!(orders.iter().all(|order| *order == orders[0]), "{orders:?}");
    assert_eq!(clients[0].all("/orders").await.len(), 1);
}
