use serde_json::json;

use crate::rest_stack::RestStack;

#[tokio::test]
async fn a_meal_is_created_read_replaced_patched_and_deleted() {
    let stack = RestStack::start().await;
    let body = json!({"name": "Soup", "ingredients": ["onion"], "price": 19.99, "origin_planet": "Earth", "description": "Hot.\nGood."});
    let created = stack.json("POST", "/meals", &body).await;
    assert_eq!((created.status, created.header("etag")), (201, "\"1\""));
    let (meal, path) = created.created("/meals");
    assert!(created.text.contains("\"price\":19.99,"), "{}", created.text);
    assert_eq!(stack.get(&path).await.body(), meal);
    assert_eq!(stack.send("GET", &path, &[("if-none-match", "\"1\"")], "").await.status, 304);

    let replaced = stack
        .json_if(
            "PUT",
            &path,
            "\"1\"",
            &json!({"name": "Soup", "price": 0, "origin_planet": "Mars"}),
        )
        .await;
    assert_eq!((replaced.status, replaced.header("etag")), (200, "\"2\""));
    let patched =
        stack.json_if("PATCH", &path, "\"2\"", &json!({"price": 1.1, "description": null})).await;
    assert_eq!((patched.status, patched.header("etag")), (200, "\"3\""));
    assert_eq!(
        patched.body(),
        json!({"id": meal["id"], "name": "Soup", "ingredients": [], "price": 1.1, "origin_planet": "Mars", "description": "", "version": 3})
    );
    stack
        .json_if("PATCH", &path, "\"2\"", &json!({"price": 2}))
        .await
        .problem(412, "version-mismatch");

    assert_eq!(stack.call("DELETE", &path).await.status, 204);
    stack.get(&path).await.problem(404, "meal-not-found");
    stack.json("PUT", &path, &body).await.problem(404, "meal-not-found");
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once() {
    let stack = RestStack::start().await;
    let body = json!({"name": " ", "ingredients": ["ok", 1], "price": 1.005, "planet": "Earth"});
    let problem = stack.json("POST", "/meals", &body).await.problem(422, "validation-failed");
    let pointers: Vec<&str> = problem["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .filter_map(|error| error["pointer"].as_str())
        .collect();
    assert_eq!(pointers, ["#/name", "#/ingredients/1", "#/price", "#/origin_planet", "#/planet"]);
    assert_eq!(stack.get("/meals").await.body(), json!({"items": [], "next_cursor": null}));
}
