//! The types in the `OpenAPI` document are those that generators of clients understand.

use std::collections::BTreeSet;

use galley_tests::TestStack;
use galley_tests::json::text;
use serde_json::{Value, json};

/// Calls `look` with every value but the examples, and its path.
fn walk(place: &str, value: &Value, look: &mut impl FnMut(&str, &Value)) {
    look(place, value);
    match value {
        Value::Object(object) => {
            for (name, value) in object.iter().filter(|(name, _)| !name.starts_with("example")) {
                walk(&format!("{place}/{}", name.replace('/', "~1")), value, look);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| walk(place, value, look)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Expects that a number says how wide it is, and that a type has a name.
fn check_schema(place: &str, schema: &Value) {
    let formats: &[&str] = match schema["type"].as_str() {
        Some("integer") => &["int32", "int64"],
        Some("number") => &["double"],
        _ => &[],
    };
    let format = schema["format"].as_str();
    assert!(formats.is_empty() || format.is_some_and(|it| formats.contains(&it)), "{place}");
    assert_eq!(schema["multipleOf"], Value::Null, "{place}");
    let named = place.starts_with("/components/schemas/") && place.matches('/').count() == 3;
    let part = place.ends_with("/allOf");
    assert!(named || part || !schema["properties"].is_object(), "{place} has no name");
    // The only choice is that between a type and `null`.
    assert_eq!(schema["anyOf"], Value::Null, "{place}");
    if let Some(choices) = schema["oneOf"].as_array() {
        assert!(choices.len() == 2 && choices[1] == json!({"type": "null"}), "{place}");
        assert!(choices[0]["$ref"].is_string() && place.starts_with("/components"), "{place}");
    }
}

#[tokio::test]
async fn every_number_says_how_wide_it_is_and_every_type_has_a_name() {
    let stack = TestStack::embedded().start().await;
    let document = stack.client().get("/openapi.json").await.is(200);
    walk("", &document, &mut check_schema);
    let mut ids = BTreeSet::new();
    let paths = document["paths"].as_object().expect("paths");
    for (path, operation) in paths.iter().flat_map(|(path, operations)| {
        operations.as_object().expect("operations").values().map(move |one| (path, one))
    }) {
        let id = text(operation, "operationId");
        assert!(ids.insert(id.to_owned()), "{id} is not the only one of this name");
        for (status, answer) in operation["responses"].as_object().expect("answers") {
            // Balancers read the readiness whatever the status.
            if status.as_str() >= "400" && path != "/readyz" {
                let problem = &answer["content"]["application/problem+json"]["schema"];
                assert_eq!(problem["$ref"], "#/components/schemas/Problem", "{id} {status}");
            }
            assert!(status != "204" || answer["content"].is_null(), "{id} {status}");
        }
    }
    for page in ["HeroPage", "MealPage", "OrderViewPage"] {
        let entry = &document["components"]["schemas"][page]["properties"]["items"]["items"];
        let name = page.trim_end_matches("Page");
        assert_eq!(*entry, json!({"$ref": format!("#/components/schemas/{name}")}));
    }
}
