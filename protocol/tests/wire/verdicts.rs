//! The schemas that the document tells and the code that reads and writes frames come to the same
//! verdict.

use std::collections::BTreeMap;

use galley_protocol::Audience;
use galley_protocol::frame::{ClientFrame, Command, client, server};
use galley_protocol::{Price, asyncapi};
use jsonschema::{Draft, Validator};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

/// A validator for each message with a type.
struct MessageSchemas(BTreeMap<String, Validator>);

impl MessageSchemas {
    fn read() -> Self {
        let document = asyncapi::document();
        let components = &document["components"];
        let messages = components["messages"].as_object().expect("messages");
        let compile = |name: &String| {
            let reference = format!("#/components/messages/{name}/payload");
            let schema = json!({"components": components, "allOf": [{"$ref": reference}]});
            let options =
                jsonschema::options().with_draft(Draft::Draft7).should_validate_formats(true);
            (name.clone(), options.build(&schema).unwrap_or_else(|error| panic!("{name}: {error}")))
        };
        Self(messages.keys().map(compile).collect())
    }

    fn validate(&self, command: &Value) -> Result<(), String> {
        self.validate_as(command["type"].as_str().unwrap_or_default(), command)
    }

    /// The command `menu` and the frame `menu` are two messages.
    fn validate_frame(&self, frame: &Value) -> Result<(), String> {
        let is_menu = frame["type"] == "menu";
        if is_menu { self.validate_as("menu_changed", frame) } else { self.validate(frame) }
    }

    fn validate_as(&self, kind: &str, frame: &Value) -> Result<(), String> {
        let validator = self.0.get(kind).ok_or_else(|| format!("no message {kind:?}"))?;
        validator.validate(frame).map_err(|error| format!("{} at {}", error, error.instance_path()))
    }
}

#[test]
fn pinned_frames_are_valid() {
    let schemas = MessageSchemas::read();
    for line in client::PINNED.lines() {
        let command = serde_json::from_str(line).expect("JSON");
        assert_eq!(schemas.validate(&command), Ok(()), "{line}");
    }
    for line in server::PINNED.lines() {
        let frame = serde_json::from_str(line).expect("JSON");
        assert_eq!(schemas.validate_frame(&frame), Ok(()), "{line}");
    }
}

#[test]
fn defaults_are_those_of_the_reader() {
    let document = asyncapi::document();
    let default = |command: &str, field: &str| {
        document["components"]["schemas"][command]["properties"][field]["default"]
            .as_u64()
            .expect("a default")
    };
    let read = |text: &str| ClientFrame::parse(text, Audience::Hero).expect("a good frame").command;
    assert!(
        matches!(read(r#"{"type":"orders"}"#), Command::Orders(list) if list.limit as u64 == default("OrdersCommand", "limit"))
    );
    assert!(
        matches!(read(r#"{"type":"watch"}"#), Command::Watch(watch) if u64::from(watch.max_rate) == default("WatchCommand", "max_rate"))
    );
}

/// Every field of a command, and one that no command has.
const FIELDS: [&str; 13] = [
    "id",
    "meal_id",
    "key",
    "order_id",
    "reason",
    "status",
    "limit",
    "cursor",
    "hero_id",
    "max_rate",
    "token",
    "traceparent",
    "x",
];

/// Values at and around the edges of everything that a field may be.
fn edges() -> Vec<Value> {
    vec![
        0.into(),
        1.into(),
        2.into(),
        50.into(),
        51.into(),
        100.into(),
        101.into(),
        (-1).into(),
        9_007_199_254_740_991_i64.into(),
        9_007_199_254_740_992_i64.into(),
        i64::MAX.into(),
        i64::MIN.into(),
        u64::MAX.into(),
        json!(2.0),
        json!(1.5),
        json!(1e16),
        json!(1e300),
        Value::Null,
        true.into(),
        json!({}),
        json!([]),
        json!(["PENDING", "CANCELLED", "PENDING"]),
        json!(["PENDING", "DONE"]),
        json!(["pending"]),
        json!([1]),
        json!(vec!["COMPLETED"; 100]),
        json!(vec!["COMPLETED"; 101]),
        "".into(),
        " ".into(),
        "\u{2003}".into(),
        "why not".into(),
        "\u{e9}".repeat(255).into(),
        "\u{e9}".repeat(256).into(),
        "\u{1f35c}".repeat(2_000).into(),
        "\u{1f35c}".repeat(2_001).into(),
        "two\nlines\tand a tab".into(),
        "\n".into(),
        "bell\u{7}".into(),
        "escape\u{9b}".into(),
        "line\u{2028}separator".into(),
        "turned\u{202e}around".into(),
        "\u{200f}".into(),
        "\u{200b}".into(),
        "\u{2800}".into(),
        "\u{3164}\u{fe0f}".into(),
        "joined\u{200d}".into(),
        "noted\u{fffa}".into(),
        "no\u{fdd0}".into(),
        "p1".into(),
        "p0".into(),
        "p1fffffffffffff".into(),
        "p20000000000000".into(),
        "p01".into(),
        "pF".into(),
        "r1.1".into(),
        "PENDING".into(),
        "a.b-_~+/==".into(),
        "a=b".into(),
        "a".repeat(4_096).into(),
        "a".repeat(4_097).into(),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => select(edges()),
        1 => (-10_i64..120).prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(|number| json!(number)),
        1 => "[a-z\u{0}-\u{20}\u{7f}-\u{a0}\u{2028}]{0,6}".prop_map(Value::from),
        1 => "p[0-9a-g]{1,15}".prop_map(Value::from),
    ]
}

fn pinned() -> Vec<Value> {
    client::PINNED.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A good frame of which some fields are left out and some are changed or added.
fn frame() -> impl Strategy<Value = Value> {
    let left_out = proptest::sample::subsequence(FIELDS.to_vec(), 0..FIELDS.len());
    let changes = proptest::collection::vec((select(FIELDS.to_vec()), value()), 0..3);
    (select(pinned()), left_out, changes).prop_map(|(frame, left_out, changes)| {
        let mut frame: Map<String, Value> = frame.as_object().cloned().unwrap_or_default();
        frame.retain(|field, _| !left_out.contains(&field.as_str()));
        frame.extend(changes.into_iter().map(|(field, value)| (field.to_owned(), value)));
        Value::Object(frame)
    })
}

/// The reader cuts white space around a text off before it counts; the schema describes what is
/// left.
fn is_padded(frame: &Value) -> bool {
    frame
        .as_object()
        .into_iter()
        .flatten()
        .any(|(_, value)| value.as_str().is_some_and(|text| text.trim() != text))
}

fn disagreement(schemas: &MessageSchemas, frame: &Value) -> Option<String> {
    match (ClientFrame::parse(&frame.to_string(), Audience::Hero), schemas.validate(frame)) {
        (Err(refused), Ok(())) => {
            Some(format!("the schema allows what the reader refuses: {frame}: {refused:?}"))
        }
        (Ok(_), Err(forbidden)) if !is_padded(frame) => {
            Some(format!("the schema forbids what is read: {frame}: {forbidden}"))
        }
        (Ok(_), _) | (Err(_), Err(_)) => None,
    }
}

#[test]
fn the_reader_and_the_schema_agree_on_every_edge_of_every_field() {
    let schemas = MessageSchemas::read();
    for good in pinned() {
        let mut fields = good.as_object().expect("a frame is an object").keys();
        assert!(fields.all(|field| field == "type" || FIELDS.contains(&field.as_str())), "{good}");
        for field in FIELDS {
            for value in edges().into_iter().map(Some).chain([None]) {
                let mut frame = good.clone();
                let fields = frame.as_object_mut().expect("a frame is an object");
                match value {
                    Some(value) => drop(fields.insert(field.to_owned(), value)),
                    None => drop(fields.remove(field)),
                }
                assert_eq!(disagreement(&schemas, &frame), None);
            }
        }
    }
}

#[test]
fn the_reader_and_the_schema_agree_on_every_command() {
    let schemas = MessageSchemas::read();
    proptest!(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() }, |(frame in frame())| {
        prop_assert_eq!(disagreement(&schemas, &frame), None);
    });
}

#[test]
fn what_is_read_and_written_again_stays_the_same() {
    let schemas = MessageSchemas::read();
    proptest!(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() }, |(frame in frame())| {
        let Ok(read) = ClientFrame::parse(&frame.to_string(), Audience::Hero) else { return Ok(()) };
        let written = serde_json::to_value(&read).expect("a frame is JSON");
        prop_assert_eq!(schemas.validate(&written), Ok(()));
        prop_assert_eq!(ClientFrame::parse(&written.to_string(), Audience::Hero), Ok(read));
    });
}

#[test]
fn every_price_that_a_gateway_can_tell_fits_the_schema() {
    let schemas = MessageSchemas::read();
    let large = [
        1_999,
        123_456,
        450_359_963,
        9_007_199_257,
        99_999_999_901,
        99_999_999_999,
        100_000_000_000,
    ];
    for hundredths in (0..=20_000).chain(large) {
        let price = Price::from_hundredths(hundredths).expect("a price");
        let meal = json!({
            "id": 1, "name": "Soup", "ingredients": [], "price": price, "origin_planet": "Mars", "description": "", "version": 1,
        });
        let menu = json!({"type": "reply", "items": [meal], "next_cursor": null});
        assert_eq!(schemas.validate(&menu), Ok(()), "{price}");
    }
}
