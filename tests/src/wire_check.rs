//! Checks of frames and commands against the published schemas.
//!
//! Every frame of the gateway that a test reads, and every command that must succeed, is checked
//! here first. The schemas are those of the library; another test shows that the served document
//! equals them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use galley_protocol::asyncapi;
use galley_protocol::frame::Received;
use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

/// A validator for each type of message.
static VALIDATORS: LazyLock<BTreeMap<String, Validator>> = LazyLock::new(|| {
    let mut components = asyncapi::document()["components"].take();
    close(&mut components);
    let messages = components["messages"].as_object().expect("the document has messages");
    let compile = |name: &String| {
        let payload = json!({"$ref": format!("#/components/messages/{name}/payload")});
        let schema = json!({"components": components, "allOf": [payload]});
        let options = jsonschema::options().with_draft(Draft::Draft7).should_validate_formats(true);
        (
            name.clone(),
            options.build(&schema).unwrap_or_else(|error| panic!("the schema of {name}: {error}")),
        )
    };
    messages.keys().map(compile).collect()
});

/// Expects a valid frame of the gateway without undocumented fields.
pub fn check_frame(frame: &Value) {
    if let Err(error) = validate_frame(frame) {
        panic!("the gateway said {frame}, but {error}");
    }
}

/// Expects a valid command of a client.
pub fn check_command(command: &Value) {
    if let Err(error) = validate(command) {
        panic!("a client says {command}, but {error}");
    }
}

/// Parses a frame as a client in Rust does; such a client must know every type of frame.
#[must_use]
pub fn understand(frame: &Value) -> Received {
    let read: Received =
        serde_json::from_value(frame.clone()).unwrap_or_else(|error| panic!("{error}: {frame}"));
    assert_ne!(read, Received::Unknown, "{frame}");
    read
}

/// The command `menu` and the frame `menu` are two messages.
fn validate_frame(frame: &Value) -> Result<(), String> {
    let is_menu = frame["type"] == "menu";
    if is_menu { validate_as("menu_changed", frame) } else { validate(frame) }
}

fn validate(message: &Value) -> Result<(), String> {
    validate_as(message["type"].as_str().unwrap_or_default(), message)
}

fn validate_as(kind: &str, message: &Value) -> Result<(), String> {
    let validator = VALIDATORS.get(kind).ok_or("no message has this type")?;
    validator
        .validate(message)
        .map_err(|error| format!("{error} at {:?}", error.instance_path().as_str()))
}

/// Forbids unknown fields: the published schemas allow fields of later versions, but every field of
/// this version must be documented.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(keywords) => {
            if keywords.contains_key("properties") && !keywords.contains_key("additionalProperties")
            {
                keywords.insert("additionalProperties".to_owned(), json!(false));
            }
            keywords.values_mut().for_each(close);
        }
        Value::Array(members) => members.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use galley_protocol::frame::server::PINNED;
    use serde_json::{Value, json};

    use super::{check_frame, understand, validate};

    #[test]
    fn pinned_frames_pass() {
        for line in PINNED.lines() {
            let frame = serde_json::from_str(line).expect("JSON");
            check_frame(&frame);
            drop(understand(&frame));
        }
    }

    #[test]
    fn a_wrong_frame_does_not_pass() {
        let order = PINNED
            .lines()
            .find(|line| line.starts_with(r#"{"type":"order""#))
            .expect("each type is pinned");
        let order: Value = serde_json::from_str(order).expect("JSON");
        let changed = |pointer: &str, value: Value| {
            let mut frame = order.clone();
            *frame.pointer_mut(pointer).expect("the field is there") = value;
            frame
        };
        for frame in [
            json!({}),
            json!({"type": "unheard-of"}),
            json!({"type": "pong", "id": null}),
            json!({"type": "pong", "secret": 1}),
            changed("/cursor", json!("r1.1")),
            changed("/order/status", json!("DONE")),
            changed("/order/version", json!(0)),
            changed("/order/reason", json!("because")),
            changed("/order/order_time", json!("1970-01-01T00:00:01Z")),
            changed("/order", json!({})),
        ] {
            assert!(validate(&frame).is_err(), "{frame}");
        }
        let mut more = order;
        more["order"]["meal"] = json!({"id": 1});
        assert!(validate(&more).is_err(), "{more}");
    }
}
