//! Access to the fields of JSON values.

use serde_json::Value;

/// The `id` of an object.
#[must_use]
pub fn id(thing: &Value) -> i64 {
    thing["id"].as_i64().unwrap_or_else(|| panic!("no id in {thing}"))
}

/// The `version` of an object.
#[must_use]
pub fn version(thing: &Value) -> i64 {
    thing["version"].as_i64().unwrap_or_else(|| panic!("no version in {thing}"))
}

/// The text of a field.
#[must_use]
pub fn text<'a>(thing: &'a Value, field: &str) -> &'a str {
    thing[field].as_str().unwrap_or_else(|| panic!("no text {field} in {thing}"))
}

/// The entries of a field.
#[must_use]
pub fn list<'a>(thing: &'a Value, field: &str) -> &'a [Value] {
    thing[field].as_array().unwrap_or_else(|| panic!("no list {field} in {thing}"))
}

/// Returns true if `actual` has everything that `expected` names: fields of objects may be left
/// out, entries of lists may not.
#[must_use]
pub fn contains(actual: &Value, expected: &Value) -> bool {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) => {
            expected.iter().all(|(name, expected)| {
                actual.get(name).is_some_and(|actual| contains(actual, expected))
            })
        }
        (Value::Array(actual), Value::Array(expected)) => {
            actual.len() == expected.len()
                && actual.iter().zip(expected).all(|(actual, expected)| contains(actual, expected))
        }
        (actual, expected) => actual == expected,
    }
}
