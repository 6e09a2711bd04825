//! Every field of a body is checked for its type and its bounds.

use galley_tests::StackBuilder;
use galley_tests::json::list;
use serde_json::{Value, json};

use crate::validation::{assert_names, everything, furnished};

/// A body with a wrong field, and the pointer to the field.
struct Wrong {
    path: &'static str,
    field: &'static str,
    value: Value,
    pointer: String,
}

fn too_long(most: usize) -> Value {
    json!("é".repeat(most + 1))
}

fn wrong_fields() -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let mut add = |path, field, values: &Value, pointer: &str| {
        for value in values.as_array().expect("a list of wrong values") {
            wrong.push(Wrong { path, field, value: value.clone(), pointer: pointer.to_owned() });
        }
    };
    let no_list = json!(["x", 1, {}, vec!["x"; 101]]);
    let no_text = json!([
        "",
        "  ",
        7,
        null,
        ["x"],
        {},
        true,
        too_long(200),
        "a\u{0}b",
        "a\nb",
        "a\u{1b}[2J",
        "a\u{2028}b"
    ]);
    let no_entry: Value =
        list(&json!({"of": no_text}), "of").iter().map(|text| json!(["ok", text])).collect();
    let no_price = json!([-0.01, 0.001, 1.005, 1_000_000_000.01, 1e300, "1", null, [1], u64::MAX]);
    for (path, texts, list) in [
        ("/heroes", [("name", "#/name"), ("planet", "#/planet")], "allergies"),
        ("/meals", [("name", "#/name"), ("origin_planet", "#/origin_planet")], "ingredients"),
    ] {
        for (field, pointer) in texts {
            add(path, field, &no_text, pointer);
        }
        add(path, list, &no_entry, &format!("#/{list}/1"));
        add(path, list, &no_list, &format!("#/{list}"));
        for unknown in ["Id", "versions", "Name", "__proto__"] {
            add(path, unknown, &json!([1]), &format!("#/{unknown}"));
        }
        add(path, "a/b", &json!([1]), "#/a~1b");
    }
    add("/meals", "price", &no_price, "#/price");
    add("/meals", "description", &json!([too_long(2_000), "bell\u{7}", 1]), "#/description");
    wrong
}

on_both_deployments!(every_wrong_field_of_a_hero_or_meal_is_named);
async fn every_wrong_field_of_a_hero_or_meal_is_named(stack: StackBuilder) {
    let (_stack, client, (hero, meal, _), before) = furnished(stack).await;
    for Wrong { path, field, value, pointer } in wrong_fields() {
        let (id, mut body) = match path {
            "/heroes" => (hero, json!({"name": "A", "planet": "B"})),
            _ => (meal, json!({"name": "A", "origin_planet": "B", "price": 1})),
        };
        let patch = json!({field: value.clone()});
        body[field] = value;
        let at = format!("{path}/{id}");
        for answer in [
            client.post(path, &body).await,
            client.put(&at, &body).await,
            client.patch(&at, &patch).await,
        ] {
            assert_names(&answer.problem(422, "validation-failed"), &pointer);
        }
    }
    assert_eq!(everything(&client).await, before);
}

on_both_deployments!(every_missing_field_is_named);
async fn every_missing_field_is_named(stack: StackBuilder) {
    let stack = stack.start().await;
    let client = stack.client();
    for (path, required) in [
        ("/heroes", &["#/name", "#/planet"][..]),
        ("/meals", &["#/name", "#/price", "#/origin_planet"]),
        ("/orders", &["#/hero_id", "#/meal_id"]),
    ] {
        let problem = client.post(path, &json!({})).await.problem(422, "validation-failed");
        for pointer in required {
            assert_names(&problem, pointer);
        }
        assert_eq!(list(&problem, "errors").len(), required.len(), "{problem}");
    }
}

on_both_deployments!(every_wrong_field_of_an_order_is_named);
async fn every_wrong_field_of_an_order_is_named(stack: StackBuilder) {
    let (_stack, client, (hero, meal, order), before) = furnished(stack).await;
    let no_id =
        json!([0, -1, 1.5, "1", null, 9_007_199_254_740_992_i64, u64::MAX, 1e30, [1], true]);
    for id in no_id.as_array().expect("a list") {
        for (field, other) in [("hero_id", "meal_id"), ("meal_id", "hero_id")] {
            let problem = client
                .post("/orders", &json!({field: id, other: 1}))
                .await
                .problem(422, "validation-failed");
            assert_names(&problem, &format!("#/{field}"));
        }
    }
    let unknown = json!({"hero_id": hero, "meal_id": meal, "status": "COMPLETED"});
    assert_names(
        &client.post("/orders", &unknown).await.problem(422, "validation-failed"),
        "#/status",
    );
    for reason in [json!(""), json!(1), json!("\u{0}"), too_long(2_000)] {
        let answer =
            client.post(&format!("/orders/{order}/cancel"), &json!({"reason": reason})).await;
        assert_names(&answer.problem(422, "validation-failed"), "#/reason");
    }
    assert_eq!(everything(&client).await, before);
}
