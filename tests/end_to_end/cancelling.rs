//! Orders are cancelled and deleted.

use galley_tests::json::{id, list, text, version};
use galley_tests::{StackBuilder, TestClient, TestStack};
use serde_json::{Value, json};

/// Places an order and waits until a worker has claimed it.
async fn in_progress(client: &TestClient, hero: i64, meal: i64) -> i64 {
    client.place_until(hero, meal, "IN_PROGRESS").await
}

fn assert_cancelled(order: &Value, message: Option<&str>) {
    assert_eq!(
        (text(order, "status"), text(order, "reason"), version(order)),
        ("CANCELLED", "hero_request", 3),
        "{order}"
    );
    assert_eq!(text(order, "message"), message.unwrap_or("Cancelled at the hero's request"));
    assert!(order["completed_time"].is_string(), "{order}");
}

on_both_deployments!(an_order_in_progress_is_cancelled_by_every_route);
async fn an_order_in_progress_is_cancelled_by_every_route(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("1h").start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    let why = json!({"reason": "changed\nmy mind"});
    for route in 0..6 {
        let order = in_progress(&client, hero, meal).await;
        let path = format!("/orders/{order}");
        let (answer, message) = match route {
            0 => (client.cancel(order).await.is(200), None),
            1 => {
                (client.post(&format!("{path}/cancel"), &why).await.is(200), why["reason"].as_str())
            }
            2 => (client.delete(&path).await.is(200), None),
            3 => {
                (client.delete(&format!("{path}?reason=too+late")).await.is(200), Some("too late"))
            }
            4 => (client.delete(&path).json(&why).await.is(200), why["reason"].as_str()),
            _ => {
                (
                    socket.reply(json!({"type": "cancel", "order_id": order, "reason": "x"})).await
                        ["order"]
                        .take(),
                    Some("x"),
                )
            }
        };
        assert_cancelled(&answer, message);
        assert_cancelled(&socket.until_status(order, "CANCELLED").await, message);
        assert_cancelled(&client.order(order).await, message);
    }
}

on_both_deployments!(a_cancel_that_comes_too_late_is_told_how_the_order_ended);
async fn a_cancel_that_comes_too_late_is_told_how_the_order_ended(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("0s").start_with_hero_and_meal().await;
    let order = client.place_until(hero, meal, "COMPLETED").await;
    let problem = client.cancel(order).await.problem(409, "already-finished");
    assert_eq!((text(&problem["order"], "status"), version(&problem["order"])), ("COMPLETED", 3));
    let mut socket = client.connect(hero).await;
    let problem = socket.problem(json!({"type": "cancel", "order_id": order})).await;
    assert_eq!(
        (text(&problem, "type"), text(&problem["order"], "status")),
        ("/problems/already-finished", "COMPLETED")
    );
    assert_eq!(version(&client.order(order).await), 3);
}

on_both_deployments!(an_ended_order_is_deleted_and_its_sockets_are_told);
async fn an_ended_order_is_deleted_and_its_sockets_are_told(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("0s").start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    for by_socket in [false, true] {
        let order = id(&client.place(hero, meal).await);
        socket.until_status(order, "COMPLETED").await;
        if by_socket {
            let reply = socket.reply(json!({"type": "delete", "order_id": order})).await;
            assert_eq!((&reply["deleted"], &reply["order_id"]), (&json!(true), &json!(order)));
        } else {
            let answer = client.delete(&format!("/orders/{order}")).await;
            assert_eq!((answer.status, answer.text.as_str()), (204, ""));
        }
        let frame = socket.until_type("deleted").await;
        assert_eq!((&frame["order_id"], version(&frame)), (&json!(order), 4));
        client.get(&format!("/orders/{order}")).await.problem(404, "order-not-found");
        client.delete(&format!("/orders/{order}")).await.problem(404, "order-not-found");
        client.cancel(order).await.problem(404, "order-not-found");
        assert!(client.all("/orders").await.is_empty());
    }
}

on_both_deployments!(a_delete_is_guarded_by_the_version);
async fn a_delete_is_guarded_by_the_version(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("1h").start_with_hero_and_meal().await;
    let order = in_progress(&client, hero, meal).await;
    let path = format!("/orders/{order}");
    assert_eq!(client.get(&path).await.header("etag"), "\"2\"");
    for stale in ["\"1\"", "\"3\"", "W/\"1\"", "\"x\""] {
        let problem =
            client.delete(&path).header("If-Match", stale).await.problem(412, "version-mismatch");
        assert_eq!(version(&problem["order"]), 2, "{stale}");
        let cancel = client.cancel(order).header("If-Match", stale).await;
        assert_eq!(version(&cancel.problem(412, "version-mismatch")["order"]), 2, "{stale}");
    }
    assert_cancelled(&client.delete(&path).header("If-Match", "\"2\"").await.is(200), None);
    let late = client.delete(&path).header("If-Match", "\"2\"").await;
    assert_eq!(late.status, 412, "what was meant to cancel must not delete: {}", late.text);
    assert_eq!(client.delete(&path).header("If-Match", "\"1\", \"3\"").await.status, 204);
    client.get(&path).await.problem(404, "order-not-found");
}

on_both_deployments!(a_hero_or_meal_with_active_orders_is_not_deleted);
async fn a_hero_or_meal_with_active_orders_is_not_deleted(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("1h").start_with_hero_and_meal().await;
    let order = in_progress(&client, hero, meal).await;
    client.delete(&format!("/heroes/{hero}")).await.problem(409, "has-active-orders");
    client.delete(&format!("/meals/{meal}")).await.problem(409, "has-active-orders");
    assert_eq!(client.cancel(order).await.status, 200);
    let mut socket = client.connect(hero).await;
    let problem = socket
        .problem(json!({"type": "delete", "order_id": in_progress(&client, hero, meal).await}))
        .await;
    assert_eq!(
        (text(&problem, "type"), text(&problem["order"], "status")),
        ("/problems/not-finished", "IN_PROGRESS")
    );
    let active = client.all("/orders?status=IN_PROGRESS").await;
    assert_eq!(client.cancel(id(&active[0])).await.status, 200);
    assert_eq!(client.delete(&format!("/meals/{meal}")).await.status, 204);
    assert_eq!(client.delete(&format!("/heroes/{hero}")).await.status, 204);
    client.get(&format!("/heroes/{hero}")).await.problem(404, "hero-not-found");
    client
        .post("/orders", &json!({"hero_id": hero, "meal_id": meal}))
        .await
        .problem(404, "hero-not-found");
    assert_eq!(client.refused(&format!("?hero_id={hero}")).await.0, 404);
    assert!(list(&client.get("/meals").await.is(200), "items").is_empty());
}

#[tokio::test]
async fn a_pending_order_is_cancelled_and_never_prepared() {
    let (mut stack, client, hero, meal) =
        TestStack::distributed().workers(0).delay("0s").start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    let order = id(&client.place(hero, meal).await);
    let cancelled = client.delete(&format!("/orders/{order}")).await.is(200);
    assert_eq!((text(&cancelled, "status"), version(&cancelled)), ("CANCELLED", 2));
    assert_eq!(cancelled["started_time"], Value::Null);
    socket.until_status(order, "CANCELLED").await;
    stack.start_worker();
    let next = id(&client.place(hero, meal).await);
    socket.until_status(next, "COMPLETED").await;
    assert_eq!(version(&client.order(order).await), 2);
}
