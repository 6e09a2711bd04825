//! A duplicate key in a JSON object is an error that names it, in bodies and in frames.

use galley_tests::json::text;
use galley_tests::{StackBuilder, TestClient};
use reqwest::Method;
use serde_json::Value;

fn pointers(problem: &Value) -> Vec<&str> {
    problem["errors"].as_array().into_iter().flatten().map(|error| text(error, "pointer")).collect()
}

async fn refused(client: &TestClient, method: Method, path: &str, body: &str, pointer: &str) {
    let call =
        client.call(method, path).header("content-type", "application/json").body(body.to_owned());
    let problem = call.await.problem(422, "validation-failed");
    assert!(pointers(&problem).contains(&pointer), "{path}: {body}: {problem}");
}

on_both_deployments!(a_repeated_key_is_refused_wherever_it_stands);
async fn a_repeated_key_is_refused_wherever_it_stands(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("1h").start_with_hero_and_meal().await;
    let order = client.place(hero, meal).await["id"].to_string();
    for (method, path, body, pointer) in [
        (Method::POST, "/orders", r#"{"hero_id":1,"hero_id":2,"meal_id":1}"#, "#/hero_id"),
        (Method::POST, "/orders", r#"{"hero_id":1,"meal_id":1,"hero_\u0069d":1}"#, "#/hero_id"),
        (Method::POST, "/heroes", r#"{"name":"A","planet":"B","name":"A"}"#, "#/name"),
        (Method::PUT, "/heroes/1", r#"{"name":"A","planet":"B","planet":null}"#, "#/planet"),
        (Method::PATCH, "/heroes/1", r#"{"allergies":[{"a":1,"a":1}]}"#, "#/allergies/0/a"),
        (Method::PATCH, "/meals/1", r#"{"price":1,"price":2}"#, "#/price"),
        (Method::DELETE, &format!("/orders/{order}"), r#"{"reason":"a","reason":"b"}"#, "#/reason"),
        (
            Method::POST,
            &format!("/orders/{order}/cancel"),
            r#"{"reason":"a","reason":"b"}"#,
            "#/reason",
        ),
    ] {
        refused(&client, method, path, body, pointer).await;
    }
    let mut socket = client.connect(hero).await;
    for (frame, pointer) in [
        (r#"{"type":"place","id":7,"meal_id":1,"meal_id":1}"#, "#/meal_id"),
        (r#"{"id":7,"type":"ping","type":"help"}"#, "#/type"),
        (r#"{"id":7,"id":8,"type":"ping"}"#, "#/id"),
        (r#"{"id":7,"type":"orders","status":["PENDING"],"x":{"y":[{"z":1,"z":1}]}}"#, "#/x/y/0/z"),
    ] {
        socket.say(frame).await;
        let error = socket.until_type("error").await;
        assert_eq!(error["id"], 7, "{error}");
        assert!(pointers(&error["problem"]).contains(&pointer), "{frame}: {error}");
    }
    assert_eq!(client.all("/orders").await.len(), 1, "nothing was done");
}
