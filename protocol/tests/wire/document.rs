//! The document has the structure that `AsyncAPI` 3.0.0 asks for, and says what the types say.

use galley_protocol::asyncapi;
use galley_protocol::close_code::CloseCode;
use galley_protocol::frame::{client, server};
use serde_json::{Map, Value};

fn fields<'a>(value: &'a Value, field: &str) -> &'a Map<String, Value> {
    value[field].as_object().unwrap_or_else(|| panic!("no object {field} in {value}"))
}

/// The `$ref` of a reference object, which has nothing else.
fn reference(value: &Value) -> &str {
    assert_eq!(value.as_object().map(Map::len), Some(1), "{value}");
    value["$ref"].as_str().expect("a reference")
}

fn follow<'a>(document: &'a Value, value: &Value) -> &'a Value {
    let pointer = reference(value).strip_prefix('#').expect("references stay within the document");
    document.pointer(pointer).unwrap_or_else(|| panic!("{value} leads nowhere"))
}

#[test]
fn it_has_the_structure_of_asyncapi_3() {
    let document = asyncapi::document();
    assert_eq!(document["asyncapi"], "3.0.0");
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    let allowed = [
        "asyncapi",
        "id",
        "info",
        "servers",
        "defaultContentType",
        "channels",
        "operations",
        "components",
    ];
    assert!(
        document.as_object().expect("an object").keys().all(|key| allowed.contains(&key.as_str()))
    );
    for server in fields(&document, "servers").values() {
        assert!(server["host"].is_string() && server["protocol"].is_string(), "{server}");
    }
    for (name, channel) in fields(&document, "channels") {
        assert!(
            channel["address"].as_str().is_some_and(|address| address.starts_with('/')),
            "{name}"
        );
        for server in channel["servers"].as_array().expect("a list") {
            assert!(reference(server).starts_with("#/servers/"), "{name}");
        }
        for message in fields(channel, "messages").values() {
            assert!(reference(message).starts_with("#/components/messages/"), "{name}");
        }
        let expressions =
            channel["address"].as_str().into_iter().flat_map(|address| address.split('{').skip(1));
        for parameter in expressions.filter_map(|rest| rest.split('}').next()) {
            assert!(fields(channel, "parameters").contains_key(parameter), "{name}");
        }
    }
}

#[test]
fn each_operation_names_a_channel_and_messages_of_that_channel() {
    let document = asyncapi::document();
    for (name, operation) in fields(&document, "operations") {
        assert!(operation["action"] == "send" || operation["action"] == "receive", "{name}");
        for part in [Some(operation), operation.get("reply")].into_iter().flatten() {
            let channel = reference(&part["channel"]);
            assert!(follow(&document, &part["channel"])["address"].is_string(), "{name}");
            let messages = part["messages"].as_array().expect("a list");
            assert!(!messages.is_empty(), "{name}");
            for message in messages {
                assert!(
                    reference(message).starts_with(&format!("{channel}/messages/")),
                    "{name}: {message}"
                );
                assert!(
                    follow(&document, follow(&document, message))["payload"].is_object(),
                    "{name}: {message}"
                );
            }
        }
    }
}

#[test]
fn every_reference_leads_somewhere_and_no_schema_is_idle() {
    fn collect<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str));
                object.values().for_each(|value| collect(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = asyncapi::document();
    let mut found = Vec::new();
    collect(&document, &mut found);
    for reference in &found {
        let pointer = reference.strip_prefix('#').expect("references stay within the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    for name in fields(&document["components"], "schemas").keys() {
        assert!(
            found.contains(&format!("#/components/schemas/{name}").as_str()),
            "nobody refers to {name}"
        );
    }
}

#[test]
fn each_pinned_frame_is_the_example_of_its_message() {
    let document = asyncapi::document();
    let messages = fields(&document["components"], "messages");
    for (name, message) in messages {
        let examples = message["examples"].as_array().expect("a list");
        assert!(!examples.is_empty(), "{name} has no example");
        assert!(
            message["summary"].as_str().is_some_and(|summary| summary.ends_with('.')),
            "{name}"
        );
    }
    let (commands, frames) = (client::PINNED.lines(), server::PINNED.lines());
    for (line, is_frame) in commands.map(|it| (it, false)).chain(frames.map(|it| (it, true))) {
        let frame: Value = serde_json::from_str(line).expect("JSON");
        let name = frame["type"].as_str().expect("a type");
        let message = &messages[if is_frame && name == "menu" { "menu_changed" } else { name }];
        let examples = message["examples"].as_array().expect("a list");
        assert!(examples.iter().any(|example| example["payload"] == frame), "{line}");
    }
    let commands = document["operations"]["command"]["messages"].as_array().map_or(0, Vec::len);
    let channel = fields(&document["channels"]["socket"], "messages");
    let frames = server::PINNED
        .lines()
        .filter_map(|line| line.split('"').nth(3))
        .collect::<std::collections::HashSet<_>>();
    assert_eq!(channel.len(), commands + frames.len(), "no command has the name of a frame");
}

#[test]
fn each_command_says_who_may_give_it() {
    let document = asyncapi::document();
    let mut senders = Map::new();
    for line in client::PINNED.lines() {
        let frame: Value = serde_json::from_str(line).expect("JSON");
        let kind = frame["type"].as_str().expect("a type");
        let told = &document["components"]["messages"][kind]["x-senders"];
        assert!(told.as_array().is_some_and(|told| !told.is_empty()), "{kind}: `audience.rs`");
        senders.insert(kind.to_owned(), told.clone());
    }
    assert_eq!(senders["place"], serde_json::json!(["hero"]));
    assert_eq!(senders["watch"], serde_json::json!(["staff"]));
    assert_eq!(senders["cancel"], serde_json::json!(["hero", "staff"]));
}

#[test]
fn every_close_code_is_told() {
    let document = asyncapi::document();
    let socket = &document["channels"]["socket"];
    let told = socket["x-close-codes"].as_array().expect("a list");
    for close in CloseCode::ALL {
        let found =
            told.iter().find(|told| told["code"] == close.code()).expect("each code is told");
        assert_eq!(found["reconnect"], close.reconnect().advice());
        assert!(
            socket["description"]
                .as_str()
                .is_some_and(|text| text.contains(&format!("| {} |", close.code())))
        );
    }
}

/// Calls `look` with every schema of a message and its parts, and where it is.
fn walk(place: &str, value: &Value, look: &mut impl FnMut(&str, &Value)) {
    look(place, value);
    match value {
        Value::Object(object) => {
            for (name, value) in object.iter().filter(|(name, _)| *name != "examples") {
                walk(&format!("{place}/{name}"), value, look);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| walk(place, value, look)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_number_says_how_wide_it_is() {
    walk("", &asyncapi::document(), &mut |place, schema| {
        let formats: &[&str] = match schema["type"].as_str() {
            Some("integer") => &["int32", "int64"],
            Some("number") => &["double"],
            _ => return,
        };
        assert!(schema["format"].as_str().is_some_and(|it| formats.contains(&it)), "{place}");
        assert_eq!(schema["multipleOf"], Value::Null, "{place}");
    });
}

#[test]
fn every_type_has_a_name_for_the_generators_of_clients() {
    let document = asyncapi::document();
    for (name, message) in fields(&document["components"], "messages") {
        assert!(reference(&message["payload"]).starts_with("#/components/schemas/"), "{name}");
    }
    for (name, schema) in fields(&document["components"], "schemas") {
        for (keyword, part) in schema.as_object().expect("a schema") {
            walk(&format!("{name}/{keyword}"), part, &mut |place, part| {
                let types = ["enum", "oneOf", "anyOf", "allOf"];
                let nameless =
                    part["type"] == "object" || types.iter().any(|it| !part[it].is_null());
                assert!(!nameless, "{place} has no name");
            });
        }
    }
}
