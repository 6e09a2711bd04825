//! The `AsyncAPI` 3.0 document of the WebSocket and the Server-Sent Events.
//!
//! Messages are derived from the types of the frames, examples from the pinned frames, and close
//! codes from their table. Only the channels and the operations are written by hand.

mod channels;
mod messages;
mod schemas;
mod type_names;

use serde_json::{Value, json};

use messages::Messages;
use schemas::Schemas;
use type_names::name_parts;

const JSON: &str = "application/json";

/// Returns the document.
#[must_use]
pub fn document() -> Value {
    let mut schemas = Schemas::default();
    let messages = Messages::collect(&mut schemas);
    let channels = channels::channels(&messages, &mut schemas);
    let operations = channels::operations(&messages, &mut schemas);
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Galley, live",
            "version": "1",
            "description": DESCRIPTION,
            "license": {"name": "MIT"},
        },
        "defaultContentType": JSON,
        "servers": {"websocket": server("ws", "WebSocket."), "http": server("http", "Server-Sent Events.")},
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages.into_components(), "schemas": name_parts(&schemas.used())},
    })
}

const DESCRIPTION: &str = "Heroes order meals; every change of an order reaches each socket and each event stream of its hero the \
    moment it is committed.\n\n\
    A frame is one JSON object on one line. Frames carry whole states: of two states of an order, the one with the higher \
    `version` is the newer, and applying frames by highest `version` always yields the truth, whatever came twice. Hand the \
    last `cursor` back to resume; it is opaque.\n\n\
    Later versions of the gateway may add fields and types of frames; a client passes over what it does not know. The gateway \
    refuses fields that it does not know.\n\n\
    `/openapi.json` describes REST.";

fn server(protocol: &str, description: &str) -> Value {
    let host = json!({"default": "127.0.0.1:8080", "description": "Where a gateway listens."});
    json!({"host": "{host}", "protocol": protocol, "description": description, "variables": {"host": host}})
}
