//! Every wrong request is refused, the error is named, and nothing changes. The fields of a body
//! are in `wrong_fields`.

use galley_tests::json::{list, text};
use galley_tests::{StackBuilder, TestAnswer, TestClient, TestStack};
use reqwest::Method;
use serde_json::{Value, json};

/// Reads every hero, meal and order.
pub async fn everything(client: &TestClient) -> Vec<Value> {
    let mut all = client.all("/heroes").await;
    all.extend(client.all("/meals").await);
    all.extend(client.all("/orders").await);
    all
}

/// Starts a stack with a hero, a meal, and an order that has ended; reads everything.
pub async fn furnished(
    stack: StackBuilder,
) -> (TestStack, TestClient, (i64, i64, i64), Vec<Value>) {
    let (stack, client, hero, meal) = stack.delay("0s").start_with_hero_and_meal().await;
    let order = client.place_until(hero, meal, "COMPLETED").await;
    let before = everything(&client).await;
    (stack, client, (hero, meal, order), before)
}

/// Expects the problem to name this field or parameter.
pub fn assert_names(problem: &Value, pointer: &str) {
    let pointers: Vec<&str> =
        list(problem, "errors").iter().map(|error| text(error, "pointer")).collect();
    assert!(pointers.contains(&pointer), "{pointer}: {problem}");
    assert!(
        list(problem, "errors").iter().all(|error| !text(error, "detail").is_empty()),
        "{problem}"
    );
}

on_both_deployments!(every_wrong_parameter_is_named);
async fn every_wrong_parameter_is_named(stack: StackBuilder) {
    let (_stack, client, (hero, _, order), before) = furnished(stack).await;
    for (path, pointer) in [
        ("/heroes?limit=0", "?limit"),
        ("/heroes?limit=101", "?limit"),
        ("/heroes?limit=ten", "?limit"),
        ("/heroes?limit=1&limit=2", "?limit"),
        ("/heroes?limit=", "?limit"),
        ("/heroes?limit=99999999999999999999", "?limit"),
        ("/heroes?cursor=x", "?cursor"),
        ("/meals?cursor=r1.1", "?cursor"),
        ("/meals?q=", "?q"),
        ("/meals?q=%00", "?q"),
        ("/meals?q=%ff", "?q"),
        ("/meals?q=%zz", "?q"),
        ("/meals?offset=1", "?offset"),
        ("/orders?status=DONE", "?status"),
        ("/orders?status=pending", "?status"),
        ("/orders?hero_id=0", "?hero_id"),
        ("/orders?hero_id=1&hero_id=2", "?hero_id"),
        ("/orders?meal_id=1.0", "?meal_id"),
        ("/orders/1?x=1", "?x"),
    ] {
        assert_names(&client.get(path).await.problem(400, "invalid-parameter"), pointer);
    }
    let long = format!("/meals?q={}", "q".repeat(201));
    assert_names(&client.get(&long).await.problem(400, "invalid-parameter"), "?q");
    for wrong in
        ["0", "-1", "01", "1.0", "x", "9007199254740992", "99999999999999999999", "%00", "1%20"]
    {
        for path in ["/heroes/", "/meals/", "/orders/"] {
            let path = format!("{path}{wrong}");
            assert_names(&client.get(&path).await.problem(400, "invalid-parameter"), "/{id}");
            assert_names(&client.delete(&path).await.problem(400, "invalid-parameter"), "/{id}");
        }
    }
    let whole = json!({"name": "A", "planet": "B"});
    for (header, value) in [("If-Match", "1"), ("If-Match", "\"1"), ("If-Match", "")] {
        let answer = client.put(&format!("/heroes/{hero}"), &whole).header(header, value).await;
        assert_names(&answer.problem(400, "invalid-parameter"), header);
    }
    let both =
        client.delete(&format!("/orders/{order}?reason=a")).json(&json!({"reason": "b"})).await;
    assert_names(&both.problem(400, "invalid-parameter"), "?reason");
    assert_eq!(everything(&client).await, before);
}

on_both_deployments!(what_is_no_json_is_refused);
async fn what_is_no_json_is_refused(stack: StackBuilder) {
    let (_stack, client, (hero, meal, _), before) = furnished(stack).await;
    let order = json!({"hero_id": hero, "meal_id": meal}).to_string();
    let send = async |body: Vec<u8>, media: &str| -> TestAnswer {
        client.call(Method::POST, "/orders").header("Content-Type", media).body(body).await
    };
    let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let huge_number = format!(r#"{{"hero_id": 1{}, "meal_id": 1}}"#, "0".repeat(10_000));
    for bad in [
        "",
        "{",
        "{} {}",
        "{'hero_id': 1}",
        "\u{feff}{}",
        "nul",
        &nested,
        &huge_number,
        r#"{"hero_id": 01}"#,
    ] {
        let answer = send(bad.as_bytes().to_vec(), "application/json").await;
        answer.problem(400, "malformed-json");
    }
    send(vec![b'{', b'"', 0xff, b'"', b':', b'1', b'}'], "application/json")
        .await
        .problem(400, "malformed-json");
    for no_object in ["null", "[]", "1", "\"x\""] {
        let answer = send(no_object.as_bytes().to_vec(), "application/json").await;
        assert_names(&answer.problem(422, "validation-failed"), "#");
    }
    for media in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin1",
        "application/jsonp",
        "x",
    ] {
        send(order.clone().into_bytes(), media).await.problem(415, "unsupported-media-type");
    }
    client
        .call(Method::POST, "/orders")
        .body(order.clone())
        .await
        .problem(415, "unsupported-media-type");
    let packed = client.post("/orders", &json!({})).header("Content-Encoding", "gzip").await;
    packed.problem(415, "unsupported-media-type");
    let merge_patch = client
        .call(Method::PUT, &format!("/heroes/{hero}"))
        .header("Content-Type", "application/merge-patch+json");
    merge_patch.body("{}").await.problem(415, "unsupported-media-type");
    let huge = format!(r#"{{"name": "{}"}}"#, "x".repeat(100_000));
    let huge = client
        .call(Method::POST, "/heroes")
        .header("Content-Type", "application/json")
        .body(huge)
        .await;
    huge.problem(413, "body-too-large");
    assert_eq!(everything(&client).await, before);
    let merged = client
        .call(Method::PATCH, &format!("/heroes/{hero}"))
        .header("Content-Type", "application/merge-patch+json");
    assert_eq!(merged.body(r#"{"planet": "Mars"}"#).await.status, 200);
    assert_eq!(send(order.into_bytes(), "application/json; charset=UTF-8").await.status, 202);
}

on_both_deployments!(what_is_not_there_is_told);
async fn what_is_not_there_is_told(stack: StackBuilder) {
    let stack = stack.start().await;
    let client = stack.client();
    for path in [
        "/nothing",
        "/heroes/",
        "/heroes/1/meals",
        "/api/heroes",
        "/assets/nothing.js",
        "/assets/..%2fCargo.toml",
        "/problems/nothing",
        "/docs/nothing",
    ] {
        client.get(path).await.problem(404, "not-found");
    }
    for (method, path, allow) in [
        (Method::DELETE, "/heroes", "GET"),
        (Method::PUT, "/orders", "GET"),
        (Method::PATCH, "/orders/1", "DELETE"),
        (Method::POST, "/meals/1", "PATCH"),
        (Method::GET, "/orders/1/cancel", "POST"),
        (Method::POST, "/healthz", "GET"),
    ] {
        let answer = client.call(method, path).await;
        assert!(answer.header("allow").contains(allow), "{path}: {:?}", answer.headers);
        answer.problem(405, "method-not-allowed");
    }
}
