//! The channels, and the operations on them.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::messages::Messages;
use super::schemas::Schemas;
use crate::close_code::CloseCode;
use crate::command::Watch;
use crate::language::Language;
use crate::{HeroId, SignedCursor};

const ANSWERS: [&str; 3] = ["reply", "error", "pong"];
const HERO_EVENTS: [&str; 8] =
    ["welcome", "order", "deleted", "hero", "menu_changed", "resync", "reconnect", "expiring"];
const STAFF_EVENTS: [&str; 5] = ["welcome", "feed", "menu_changed", "reconnect", "expiring"];

/// Returns the channels.
pub fn channels(messages: &Messages, schemas: &mut Schemas) -> Value {
    let everything: Vec<&str> = messages.commands().chain(messages.frames()).collect();
    let hero_id = described(
        schemas.of::<HeroId>(),
        "Whose socket this is; without it the socket is staff's.",
    );
    json!({
        "socket": {
            "address": "/ws",
            "title": "WebSocket",
            "description": close_codes_for_people(),
            "servers": [{"$ref": "#/servers/websocket"}],
            "messages": message_map(&everything),
            "bindings": {"ws": {
                "method": "GET",
                "query": query(&json!({"hero_id": hero_id, "cursor": cursor(schemas), "ticket": ticket(), "lang": lang()})),
                "headers": handshake_headers(),
                "bindingVersion": "0.1.0",
            }},
            "x-close-codes": close_codes(),
        },
        "hero_events": {
            "address": "/heroes/{id}/events",
            "title": "Server-Sent Events of a hero",
            "description": "The frames of the hero's socket: `event` is the type of the frame, `data` the frame, `id` its cursor. \
                            That comes back as `Last-Event-ID`, or as `?cursor=` where the header cannot be set.",
            "servers": [{"$ref": "#/servers/http"}],
            "parameters": {"id": {"description": "The hero.", "examples": ["4"]}},
            "messages": message_map(&HERO_EVENTS),
        },
        "staff_events": {
            "address": "/events",
            "title": "Server-Sent Events of everybody",
            "description": "The whole feed, for staff: like a socket without a hero that says `watch`.",
            "servers": [{"$ref": "#/servers/http"}],
            "messages": message_map(&STAFF_EVENTS),
        },
    })
}

/// Returns the operations, from the gateway's point of view.
pub fn operations(messages: &Messages, schemas: &mut Schemas) -> Value {
    let commands: Vec<&str> = messages.commands().collect();
    let news: Vec<&str> = messages.frames().filter(|frame| !ANSWERS.contains(frame)).collect();
    let mut watch = schemas.object::<Watch>()["properties"].take();
    watch["ticket"] = ticket();
    watch["lang"] = lang();
    let mut command = operation(
        "receive",
        "socket",
        "A client commands; each command is answered once.",
        &commands,
    );
    command["reply"] = json!({"channel": {"$ref": "#/channels/socket"}, "messages": message_list("socket", &ANSWERS)});
    let mut hero_events =
        operation("send", "hero_events", "The gateway tells a hero what changed.", &HERO_EVENTS);
    hero_events["bindings"] =
        get(&json!({"cursor": cursor(schemas), "ticket": ticket(), "lang": lang()}));
    let mut staff_events =
        operation("send", "staff_events", "The gateway tells staff what changed.", &STAFF_EVENTS);
    staff_events["bindings"] = get(&watch);
    json!({
        "command": command,
        "tell": operation("send", "socket", "The gateway tells what changed, whoever caused it.", &news),
        "tell_hero_events": hero_events,
        "tell_staff_events": staff_events,
    })
}

fn operation(action: &str, channel: &str, summary: &str, messages: &[&str]) -> Value {
    json!({
        "action": action,
        "channel": {"$ref": format!("#/channels/{channel}")},
        "summary": summary,
        "messages": message_list(channel, messages),
    })
}

fn message_map(names: &[&str]) -> Value {
    let reference = |name: &&str| {
        ((*name).to_owned(), json!({"$ref": format!("#/components/messages/{name}")}))
    };
    Value::Object(names.iter().map(reference).collect::<Map<String, Value>>())
}

fn message_list(channel: &str, names: &[&str]) -> Value {
    names
        .iter()
        .map(|name| json!({"$ref": format!("#/channels/{channel}/messages/{name}")}))
        .collect()
}

fn get(properties: &Value) -> Value {
    json!({"http": {"method": "GET", "query": query(properties), "bindingVersion": "0.3.0"}})
}

/// Returns the schema of a query. The handshake refuses unknown parameters.
fn query(properties: &Value) -> Value {
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

/// Returns the headers that may carry a token. The query may not, because it gets into logs; a ticket
/// is worth nothing there.
fn handshake_headers() -> Value {
    json!({"type": "object", "properties": {
        "Authorization": {"type": "string", "pattern": "^Bearer .+$", "description": "The token, of clients that can set headers."},
        "Sec-WebSocket-Protocol": {"type": "string", "examples": ["galley.v1, bearer.<token>"],
            "description": "The token, of pages in a browser."},
        "Accept-Language": {"type": "string", "examples": ["fr, en;q=0.5"], "description": "The languages of the reader."},
    }})
}

fn cursor(schemas: &mut Schemas) -> Value {
    described(schemas.of::<SignedCursor>(), "Where to resume: the last `cursor` seen.")
}

fn ticket() -> Value {
    json!({"type": "string", "description": "A ticket of `POST /tickets` in place of a token, of pages in a browser."})
}

fn lang() -> Value {
    let languages: Vec<&str> = Language::all().map(Language::code).collect();
    json!({"type": "string", "examples": languages, "description": "The language of the reader, before `Accept-Language`: of problems, \
        of `help`, and of the messages of orders that no person wrote. English stands in for any other."})
}

fn described(mut schema: Value, description: &str) -> Value {
    schema["description"] = json!(description);
    schema
}

fn close_codes() -> Value {
    let told = |close: CloseCode| json!({"code": close.code(), "reason": close.reason(), "reconnect": close.reconnect().advice()});
    CloseCode::ALL.into_iter().map(told).collect()
}

fn close_codes_for_people() -> String {
    let mut table = "The first frame is `welcome`. With the sub-protocol `galley.v1` or none. A gateway that asks for tokens takes one \
                     as `Authorization: Bearer`, as the sub-protocol `bearer.<token>` offered beside `galley.v1`, or in an `auth` \
                     frame, which is then the first message and comes within 5 s.\n\n\
                     | close code | reason | come back? |\n|---|---|---|\n"
        .to_owned();
    for close in CloseCode::ALL {
        writeln!(
            table,
            "| {} | {} | {} |",
            close.code(),
            close.reason(),
            close.reconnect().advice()
        )
        .expect("writing to memory does not fail");
    }
    table
}
