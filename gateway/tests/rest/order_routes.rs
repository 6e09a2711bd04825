use serde_json::json;

use crate::rest_stack::RestStack;

#[tokio::test]
async fn an_order_is_accepted_and_readable() {
    let stack = RestStack::start().await;
    let (hero, meal) = (stack.hero("Zoé").await, stack.meal("Soup").await);
    let placed = stack.json("POST", "/orders", &json!({"hero_id": hero, "meal_id": meal})).await;
    assert_eq!((placed.status, placed.header("idempotent-replayed")), (202, ""));
    let (order, path) = placed.created("/orders");
    assert_eq!(
        order,
        json!({
            "id": order["id"], "hero_id": hero, "meal_id": meal, "status": "PENDING", "message": null, "reason": null,
            "version": 1, "order_time": order["order_time"], "started_time": null, "completed_time": null,
        })
    );
    let read = stack.get(&path).await;
    assert_eq!((read.status, read.header("etag")), (200, "\"1\""));
    let mut view = order;
    view["hero"] = json!({"id": hero, "name": "Zoé"});
    view["meal"] = json!({"id": meal, "name": "Soup", "price": 7.5});
    assert_eq!(read.body(), view);
}

#[tokio::test]
async fn an_order_of_nobody_or_nothing_names_which() {
    let stack = RestStack::start().await;
    let (hero, meal) = (stack.hero("Zoé").await, stack.meal("Soup").await);
    let place = async |hero_id: i64, meal_id: i64| {
        stack.json("POST", "/orders", &json!({"hero_id": hero_id, "meal_id": meal_id})).await
    };
    place(hero + 100, meal).await.problem(404, "hero-not-found");
    place(hero, meal + 100).await.problem(404, "meal-not-found");
}

#[tokio::test]
async fn the_same_key_leads_to_the_same_order() {
    let stack = RestStack::start().await;
    let (hero, meal, other) =
        (stack.hero("Zoé").await, stack.meal("Soup").await, stack.meal("Stew").await);
    let place = async |key: &str, meal_id: i64| {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        stack
            .send(
                "POST",
                "/orders",
                &headers,
                json!({"hero_id": hero, "meal_id": meal_id}).to_string(),
            )
            .await
    };
    let first = place("k", meal).await;
    let again = place("k", meal).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (202, ""));
    assert_eq!((again.status, again.header("idempotent-replayed")), (202, "true"));
    assert_eq!((first.body(), first.header("location")), (again.body(), again.header("location")));
    place("k", other).await.problem(422, "idempotency-key-reused");
    assert_ne!(place("K", meal).await.body()["id"], first.body()["id"]);
    for wrong in ["", "é", &"k".repeat(256)] {
        place(wrong, meal).await.wrong(400, "invalid-parameter", "Idempotency-Key");
    }
    let twice =
        [("content-type", "application/json"), ("idempotency-key", "a"), ("idempotency-key", "b")];
    stack.send("POST", "/orders", &twice, "{}").await.wrong(
        400,
        "invalid-parameter",
        "Idempotency-Key",
    );
    assert_eq!(place(&"k".repeat(255), meal).await.status, 202);
    assert_eq!(stack.get("/orders").await.ids().len(), 3);
}

#[tokio::test]
async fn a_cancelled_order_says_why_and_stays_cancelled() {
    let stack = RestStack::start().await;
    let (hero, meal) = (stack.hero("Zoé").await, stack.meal("Soup").await);
    let path = format!("/orders/{}/cancel", stack.order(hero, meal).await);
    stack.json_if("POST", &path, "\"2\"", &json!({})).await.problem(412, "version-mismatch");
    let cancelled =
        stack.json_if("POST", &path, "\"1\"", &json!({"reason": " changed my mind "})).await;
    assert_eq!(cancelled.status, 200);
    let order = cancelled.body();
    assert_eq!(
        (&order["status"], &order["reason"], &order["message"], &order["version"]),
        (&json!("CANCELLED"), &json!("hero_request"), &json!("changed my mind"), &json!(2))
    );
    let late = stack.call("POST", &path).await.problem(409, "already-finished");
    assert_eq!(late["order"], order);
    let unexplained = format!("/orders/{}/cancel", stack.order(hero, meal).await);
    assert_eq!(stack.call("POST", &unexplained).await.body()["status"], "CANCELLED");
    let null = format!("/orders/{}/cancel", stack.order(hero, meal).await);
    assert_eq!(stack.json("POST", &null, &json!(null)).await.body()["status"], "CANCELLED");
    stack.call("POST", "/orders/4096/cancel").await.problem(404, "order-not-found");
}

#[tokio::test]
async fn deleting_cancels_first_and_deletes_then() {
    let stack = RestStack::start().await;
    let (hero, meal) = (stack.hero("Zoé").await, stack.meal("Soup").await);
    let path = format!("/orders/{}", stack.order(hero, meal).await);
    let cancelled = stack.call("DELETE", &format!("{path}?reason=too+late%21")).await;
    assert_eq!((cancelled.status, &cancelled.body()["message"]), (200, &json!("too late!")));
    let deleted = stack.call("DELETE", &path).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    stack.get(&path).await.problem(404, "order-not-found");
    stack.call("DELETE", &path).await.problem(404, "order-not-found");

    let path = format!("/orders/{}", stack.order(hero, meal).await);
    stack.json("DELETE", &format!("{path}?reason=a"), &json!({"reason": "b"})).await.wrong(
        400,
        "invalid-parameter",
        "?reason",
    );
    assert_eq!(stack.json("DELETE", &path, &json!({"reason": "b"})).await.body()["message"], "b");
}

#[tokio::test]
async fn a_condition_keeps_a_cancel_from_becoming_a_deletion() {
    let stack = RestStack::start().await;
    let (hero, meal) = (stack.hero("Zoé").await, stack.meal("Soup").await);
    let path = format!("/orders/{}", stack.order(hero, meal).await);
    let delete_if =
        async |condition: &str| stack.send("DELETE", &path, &[("if-match", condition)], "").await;
    assert_eq!(delete_if("\"1\"").await.status, 200);
    delete_if("\"1\"").await.problem(412, "version-mismatch");
    delete_if("W/\"1\"").await.problem(412, "version-mismatch");
    assert_eq!(stack.get(&path).await.header("etag"), "\"2\"");
    assert_eq!(delete_if("\"1\", W/\"2\"").await.status, 204);
}

#[tokio::test]
async fn another_name_of_the_hero_is_another_entity_tag_and_fails_no_guard() {
    let stack = RestStack::start().await;
    let (hero, meal) = (stack.hero("Zoé").await, stack.meal("Soup").await);
    let path = format!("/orders/{}", stack.order(hero, meal).await);
    let known = async |tag: &str| stack.send("GET", &path, &[("if-none-match", tag)], "").await;
    assert_eq!(known("\"1\"").await.status, 304);
    stack.json("PATCH", &format!("/heroes/{hero}"), &json!({"name": "Max"})).await.body();
    stack
        .json("PATCH", &format!("/meals/{meal}"), &json!({"name": "Stew", "price": 999}))
        .await
        .body();
    let read = known("\"1\"").await;
    assert_eq!((read.status, read.header("etag")), (200, "\"1.2\""));
    assert_eq!(read.body()["hero"]["name"], "Max");
    assert_eq!(
        (&read.body()["meal"]["name"], &read.body()["meal"]["price"]),
        (&json!("Soup"), &json!(7.5))
    );
    assert_eq!((known("W/\"1.2\"").await.status, known("*").await.status), (304, 304));
    stack
        .json_if("POST", &format!("{path}/cancel"), "\"2.2\"", &json!({}))
        .await
        .problem(412, "version-mismatch");
    assert_eq!(
        stack.json_if("POST", &format!("{path}/cancel"), "\"1.2\"", &json!({})).await.status,
        200
    );
    assert_eq!(stack.get(&path).await.header("etag"), "\"2.2\"");
    assert_eq!(stack.send("DELETE", &path, &[("if-match", "\"2\"")], "").await.status, 204);
}
