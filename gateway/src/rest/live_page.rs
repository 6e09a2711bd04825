//! The page about the live updates: the `AsyncAPI` document as HTML, for people.
//!
//! The page is made once, from the document that `/asyncapi.json` serves. It has no script, and
//! needs no other file than its icon. Whatever a later document adds to its lists is shown.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("live_page.css");
const SCHEMAS: &str = "#/components/schemas/";

/// Returns the content security policy of the page: its own style, and the icon.
pub fn policy() -> String {
    let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

/// Returns the page.
pub fn page(document: &Value) -> String {
    let title = escaped(text(&document["info"], "title"));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <link rel=\"icon\" href=\"../../assets/icon.svg\" type=\"image/svg+xml\">\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<h1>{title}</h1>\n<nav aria-label=\"Pages\"><a href=\"../\">REST (OpenAPI)</a> \
         <a href=\"../../asyncapi.json\">asyncapi.json (AsyncAPI {})</a> <a href=\"../../\">Dashboard</a></nav>\n</header>\n<main>\n{}",
        escaped(text(document, "asyncapi")),
        prose(text(&document["info"], "description")),
    );
    let sent = sent_by_clients(document);
    let messages = fields(&document["components"]["messages"]);
    let (commands, frames): (Vec<_>, Vec<_>) =
        messages.iter().partition(|(name, _)| sent.contains(name.as_str()));
    contents(&mut page, document, &commands, &frames);
    for (name, channel) in fields(&document["channels"]) {
        show_channel(&mut page, document, name, channel);
    }
    for (id, heading, way, messages) in [
        ("commands", "What clients send", "client → gateway", commands),
        ("frames", "What the gateway sends", "gateway → client", frames),
    ] {
        section(&mut page, id, heading);
        for (name, message) in messages {
            show_message(&mut page, document, name, message, way);
        }
        page.push_str("</section>\n");
    }
    section(&mut page, "schemas", "Types");
    let payloads: BTreeSet<&str> =
        messages.values().filter_map(|message| reference(&message["payload"])).collect();
    for (name, schema) in fields(&document["components"]["schemas"]) {
        if !payloads.contains(name.as_str()) {
            writeln!(page, "<section id=\"schema-{0}\"><h3>{0}</h3>", escaped(name)).expect(MEMORY);
            page.push_str(&prose(text(schema, "description")));
            show_schema(&mut page, schema);
            page.push_str("</section>\n");
        }
    }
    page.push_str("</section>\n</main>\n</body>\n</html>\n");
    page
}

const MEMORY: &str = "writing to memory does not fail";

/// Returns the names of the messages that the gateway receives.
fn sent_by_clients(document: &Value) -> BTreeSet<&str> {
    let received = fields(&document["operations"])
        .values()
        .filter(|operation| operation["action"] == "receive");
    received.flat_map(|operation| last_parts(&operation["messages"])).collect()
}

fn contents(
    page: &mut String,
    document: &Value,
    commands: &[(&String, &Value)],
    frames: &[(&String, &Value)],
) {
    page.push_str("<nav aria-label=\"Contents\" class=\"contents\">\n<ul>\n");
    for (name, channel) in fields(&document["channels"]) {
        let (title, address) = (text(channel, "title"), text(channel, "address"));
        let (name, title, address) = (escaped(name), escaped(title), escaped(address));
        writeln!(page, "<li><a href=\"#channel-{name}\">{title}</a> <code>{address}</code></li>")
            .expect(MEMORY);
    }
    for (id, heading, messages) in
        [("commands", "What clients send", commands), ("frames", "What the gateway sends", frames)]
    {
        let names = messages.iter().map(|(name, _)| name.as_str());
        writeln!(page, "<li><a href=\"#{id}\">{heading}</a>: {}</li>", links(names)).expect(MEMORY);
    }
    page.push_str("<li><a href=\"#schemas\">Types</a></li>\n</ul>\n</nav>\n");
}

fn show_channel(page: &mut String, document: &Value, name: &str, channel: &Value) {
    let heading = format!(
        "{} <code>{}</code>",
        escaped(text(channel, "title")),
        escaped(text(channel, "address"))
    );
    writeln!(page, "<section id=\"channel-{}\"><h2>{heading}</h2>", escaped(name)).expect(MEMORY);
    page.push_str(&prose(text(channel, "description")));
    let own = format!("#/channels/{name}");
    let operations = || {
        fields(&document["operations"])
            .values()
            .filter(|operation| operation["channel"]["$ref"] == own)
    };
    let mut parameters = fields(&channel["parameters"]).clone();
    let query = |bindings: &Value| fields(&bindings["query"]["properties"]).clone();
    parameters.extend(query(&channel["bindings"]["ws"]));
    operations().for_each(|operation| parameters.extend(query(&operation["bindings"]["http"])));
    for (heading, list) in [
        ("Parameters of the address", &parameters),
        ("Header fields", fields(&channel["bindings"]["ws"]["headers"]["properties"])),
    ] {
        if !list.is_empty() {
            writeln!(page, "<h3>{heading}</h3>").expect(MEMORY);
            show_fields(page, list, &Value::Null);
        }
    }
    for operation in operations() {
        let who = if operation["action"] == "receive" {
            "Client → gateway"
        } else {
            "Gateway → client"
        };
        let names = links(last_parts(&operation["messages"]));
        let summary = prose(text(operation, "summary"));
        writeln!(page, "<h3>{who}</h3>\n{summary}<p>{names}</p>").expect(MEMORY);
        let answers: Vec<&str> = last_parts(&operation["reply"]["messages"]).collect();
        if !answers.is_empty() {
            writeln!(page, "<p>Answers: {}</p>", links(answers)).expect(MEMORY);
        }
    }
    show_close_codes(page, &channel["x-close-codes"]);
    page.push_str("</section>\n");
}

fn show_close_codes(page: &mut String, codes: &Value) {
    let Some(codes) = codes.as_array() else { return };
    page.push_str(
        "<h3>Close codes</h3>\n<table>\n<thead><tr><th scope=\"col\">Code</th><th scope=\"col\">Reason</th>\
         <th scope=\"col\">Reconnect?</th></tr></thead>\n<tbody>\n",
    );
    for close in codes {
        let (code, reason) = (&close["code"], inline(text(close, "reason")));
        let advice = inline(text(close, "reconnect"));
        writeln!(page, "<tr><th scope=\"row\">{code}</th><td>{reason}</td><td>{advice}</td></tr>")
            .expect(MEMORY);
    }
    page.push_str("</tbody>\n</table>\n");
}

fn show_message(page: &mut String, document: &Value, name: &str, message: &Value, way: &str) {
    let name = escaped(name);
    let schema = reference(&message["payload"]).unwrap_or_default();
    let payload = &document["components"]["schemas"][schema];
    let senders = message["x-senders"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let senders = senders.collect::<Vec<_>>().join(", ");
    let who = if senders.is_empty() { String::new() } else { format!(" · {}", escaped(&senders)) };
    write!(
        page,
        "<section id=\"message-{name}\"><h3>{}</h3>\n<p class=\"way\">{way}{who}</p>\n{}<div id=\"schema-{}\">\n",
        escaped(text(message, "title")),
        prose(text(message, "summary")),
        escaped(schema),
    )
    .expect(MEMORY);
    show_schema(page, payload);
    page.push_str("</div>\n");
    for example in message["examples"].as_array().into_iter().flatten() {
        let payload = &example["payload"];
        let example = payload.as_str().map_or_else(|| format!("{payload:#}"), str::to_owned);
        writeln!(page, "<pre>{}</pre>", escaped(&example)).expect(MEMORY);
    }
    page.push_str("</section>\n");
}

fn show_schema(page: &mut String, schema: &Value) {
    let properties = fields(&schema["properties"]);
    if properties.is_empty() {
        writeln!(page, "<p>{}{}</p>", kind(schema), bounds(schema)).expect(MEMORY);
    } else {
        show_fields(page, properties, &schema["required"]);
    }
}

fn show_fields(page: &mut String, properties: &Map<String, Value>, required: &Value) {
    page.push_str("<dl>\n");
    let is_required =
        |name: &str| required.as_array().is_some_and(|names| names.iter().any(|it| it == name));
    for (name, schema) in properties {
        let needed = if is_required(name) { " <em>required</em>" } else { "" };
        let about = inline(text(schema, "description"));
        writeln!(
            page,
            "<dt><code>{}</code> <span>{}{}</span>{needed}</dt><dd>{about}</dd>",
            escaped(name),
            kind(schema),
            bounds(schema)
        )
        .expect(MEMORY);
    }
    page.push_str("</dl>\n");
}

/// Returns the type of a value in a few words.
fn kind(schema: &Value) -> String {
    if let Some(name) = reference(schema) {
        return format!("<a href=\"#schema-{0}\">{0}</a>", escaped(name));
    }
    let code = |value: &Value| format!("<code>{}</code>", escaped(&value.to_string()));
    if !schema["const"].is_null() {
        return code(&schema["const"]);
    }
    let list = |keyword: &str| schema[keyword].as_array();
    if let Some(values) = list("enum") {
        return values.iter().map(code).collect::<Vec<_>>().join(" or ");
    }
    if let Some(members) = list("oneOf").or(list("anyOf")) {
        let member = |member: &Value| kind(member) + &bounds(member);
        return members.iter().map(member).collect::<Vec<_>>().join(" or ");
    }
    if schema["type"] == "array" {
        return format!("list of {}", kind(&schema["items"]));
    }
    match &schema["type"] {
        Value::String(name) => escaped(name),
        Value::Array(names) => {
            names.iter().filter_map(Value::as_str).map(escaped).collect::<Vec<_>>().join(" or ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

/// Returns the bounds of a value, each with its keyword.
fn bounds(schema: &Value) -> String {
    let known = [
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "pattern",
        "default",
    ];
    let bound = |keyword: &&str| {
        let value = &schema[*keyword];
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (!value.is_null()).then(|| format!(", {keyword} <code>{}</code>", escaped(&shown)))
    };
    known.iter().filter_map(bound).collect()
}

fn section(page: &mut String, id: &str, heading: &str) {
    writeln!(page, "<section id=\"{id}\"><h2>{heading}</h2>").expect(MEMORY);
}

fn links<'a>(messages: impl IntoIterator<Item = &'a str>) -> String {
    let link = |name: &str| format!("<a href=\"#message-{0}\">{0}</a>", escaped(name));
    messages.into_iter().map(link).collect::<Vec<_>>().join(", ")
}

fn last_parts(references: &Value) -> impl Iterator<Item = &str> {
    let references = references.as_array().into_iter().flatten();
    references.filter_map(|it| it["$ref"].as_str()?.rsplit('/').next())
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix(SCHEMAS)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn fields(value: &Value) -> &Map<String, Value> {
    static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    value.as_object().unwrap_or(&NONE)
}

/// Returns the paragraphs of a description. Tables are left out: the page has them in its own form.
fn prose(text: &str) -> String {
    let paragraphs = text.split("\n\n").filter(|it| !it.trim().is_empty() && !it.starts_with('|'));
    paragraphs.fold(String::new(), |prose, it| prose + "<p>" + &inline(it) + "</p>\n")
}

/// Returns a text with its code in `<code>`.
fn inline(text: &str) -> String {
    let mut parts = text.split('`').enumerate().peekable();
    let mut out = String::new();
    while let Some((at, part)) = parts.next() {
        // The last grave accent of an odd number of them opens nothing.
        if at % 2 == 1 && parts.peek().is_some() {
            write!(out, "<code>{}</code>", escaped(part)).expect(MEMORY);
        } else {
            out.push_str(&escaped(part));
        }
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
