//! The messages: one per type of frame.

use serde_json::{Map, Value, json};

use super::JSON;
use super::schemas::Schemas;
use super::type_names::type_name;
use crate::audience::Audience;
use crate::frame::{ClientFrame, ServerFrame, client, server};
use crate::language::Language;
use crate::{Meal, Order};

const WORDS: &str = "words";

/// Every message, by sender.
pub struct Messages {
    commands: Vec<(String, Value)>,
    frames: Vec<(String, Value)>,
}

impl Messages {
    /// Derives the messages from the types of the frames.
    pub fn collect(schemas: &mut Schemas) -> Self {
        // The entries of pages.
        schemas.add::<Meal>();
        schemas.add::<Order>();
        let commands =
            schemas.tagged::<ClientFrame>().into_iter().map(|(kind, description, mut objects)| {
                // The parser of frames refuses unknown fields.
                for object in &mut objects {
                    object["additionalProperties"] = json!(false);
                }
                let senders = Audience::senders(&kind);
                let (kind, mut command) =
                    message(schemas, kind, "Command", &description, objects, client::PINNED);
                command["x-senders"] = json!(senders);
                (kind, command)
            });
        let mut commands: Vec<(String, Value)> = commands.collect();
        commands.push((WORDS.to_owned(), plain_words(schemas)));
        let frames = schemas.tagged::<ServerFrame<'_>>().into_iter();
        let frames = frames.map(|(kind, description, objects)| {
            message(schemas, kind, "Frame", &description, objects, server::PINNED)
        });
        let mut frames: Vec<(String, Value)> = frames.collect();
        // The document names a message once, while a command and a frame may have one `type`.
        for (name, message) in &mut frames {
            if commands.iter().any(|(command, _)| command == name) {
                name.push_str("_changed");
                message["name"] = json!(name);
            }
        }
        Self { commands, frames }
    }

    /// Returns the names of the messages that clients send.
    pub fn commands(&self) -> impl Iterator<Item = &str> {
        self.commands.iter().map(|(name, _)| name.as_str())
    }

    /// Returns the names of the messages that the gateway sends.
    pub fn frames(&self) -> impl Iterator<Item = &str> {
        self.frames.iter().map(|(name, _)| name.as_str())
    }

    /// Returns the messages by name. A test checks that no command has the name of a frame.
    pub fn into_components(self) -> Value {
        Value::Object(self.commands.into_iter().chain(self.frames).collect::<Map<String, Value>>())
    }
}

fn message(
    schemas: &mut Schemas,
    kind: String,
    side: &str,
    description: &str,
    objects: Vec<Value>,
    lines: &str,
) -> (String, Value) {
    let has_id = objects.iter().any(|object| object["properties"]["id"].is_object());
    // `anyOf`, not `oneOf`: an empty page of orders is also an empty page of meals.
    let payload = match <[Value; 1]>::try_from(objects) {
        Ok([object]) => object,
        Err(objects) => json!({"anyOf": objects}),
    };
    let frames = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a pinned frame is JSON"));
    let examples: Vec<Value> = frames
        .filter(|frame| frame["type"] == kind.as_str())
        .map(|frame| json!({"payload": frame}))
        .collect();
    let mut message = json!({
        "name": kind,
        "title": kind,
        "summary": description,
        "contentType": JSON,
        "payload": schemas.publish(format!("{}{side}", type_name(&kind)), payload),
        "examples": examples,
    });
    if has_id {
        message["correlationId"] =
            json!({"location": "$message.payload#/id", "description": "What the command carried."});
    }
    (kind, message)
}

fn plain_words(schemas: &mut Schemas) -> Value {
    let examples: Vec<Value> = ["menu", "order 2", "orders", "cancel 7 changed my mind"]
        .map(|line| json!({"payload": line}))
        .into();
    let [heroes, staff] =
        [Audience::Hero, Audience::Staff].map(|sender| Language::default().help(sender));
    json!({
        "name": WORDS,
        "title": "plain words",
        "summary": format!("One command a line, for people at a terminal; heroes {heroes}; staff {staff}."),
        "contentType": "text/plain",
        "payload": schemas.publish("WordsCommand".to_owned(), json!({"type": "string", "pattern": r"^\s*[^\s{]"})),
        "examples": examples,
    })
}
