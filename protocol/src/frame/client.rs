//! The frames of clients.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use crate::audience::Audience;
use crate::command::{
    CancelOrder, DEFAULT_LIMIT, DeleteOrder, GetOrder, ListOrders, PlaceOrder, Watch, limit, rate,
};
use crate::fields::{Fields, whole};
use crate::nearest_command;
use crate::problem::Problem;
use crate::problem_type::ProblemType;
use crate::sentence::Sentence;
use crate::strict::Strict;
use crate::{
    BearerToken, HeroId, IdempotencyKey, MealId, OrderId, PageCursor, ReasonText, Status,
    TraceContext,
};

/// The pinned wire format: one frame per line, one of each command, that clients may send for ever.
/// The documentation takes its examples from here.
pub const PINNED: &str = include_str!("client.jsonl");
const MAX_COMMAND_ID: usize = 255;

/// What a client puts on a command to know its answer by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CommandId {
    /// An integer.
    Number(i64),
    /// A string of at most 255 characters.
    Text(String),
}

impl PartialSchema for CommandId {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(i64::MIN))
            .maximum(Some(i64::MAX));
        let text = ObjectBuilder::new().schema_type(Type::String).max_length(Some(MAX_COMMAND_ID));
        RefOr::T(OneOfBuilder::new().item(number).item(text).build().into())
    }
}

impl ToSchema for CommandId {}

/// A command with the id under which it will be answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClientFrame {
    /// Echoed in the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    /// What to do.
    #[serde(flatten)]
    pub command: Command,
}

/// Everything that a client may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Command {
    /// Order a meal.
    Place(PlaceOrder),
    /// Cancel an order.
    Cancel(CancelOrder),
    /// Delete an order that has ended.
    Delete(DeleteOrder),
    /// Read an order.
    Get(GetOrder),
    /// List orders, newest first.
    Orders(ListOrders),
    /// List the meals.
    Menu {
        /// The `next_cursor` of the page before.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        cursor: Option<PageCursor>,
    },
    /// Watch the whole feed (staff).
    Watch(Watch),
    /// Present a token: as the first message of a socket that was opened without one, and again
    /// before it expires.
    Auth {
        /// The token.
        token: BearerToken,
    },
    /// Ask for a `pong`.
    Ping,
    /// Ask for the list of commands.
    Help,
}

impl ClientFrame {
    /// Parses JSON. An error offers only the sender's commands, with the id if readable.
    pub(crate) fn parse_json(
        message: &str,
        audience: Audience,
    ) -> Result<Self, (Option<CommandId>, Problem)> {
        let read = Strict::read(message.as_bytes()).map_err(|error| {
            (
                None,
                Problem::new(ProblemType::MalformedJson)
                    .with_detail(Sentence::NotJson(error.to_string())),
            )
        })?;
        let mut fields = Fields::new(read).map_err(|problem| (None, problem))?;
        let id = command_id(&mut fields);
        match command(fields, audience) {
            Ok(command) => Ok(Self { id, command }),
            Err(problem) => Err((id, problem)),
        }
    }
}

fn command_id(fields: &mut Fields) -> Option<CommandId> {
    match fields.take("id")? {
        Value::String(text) if text.chars().count() <= MAX_COMMAND_ID => {
            Some(CommandId::Text(text))
        }
        Value::Null => None,
        value @ (Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_)) => {
            let number = whole(&value).map(CommandId::Number);
            number.or_else(|| {
                fields.refuse("#/id".to_owned(), Sentence::BadCommandId(MAX_COMMAND_ID))
            })
        }
    }
}

fn command(mut fields: Fields, audience: Audience) -> Result<Command, Problem> {
    let kind = match fields.take("type") {
        Some(Value::String(kind)) => kind,
        other => {
            fields.refuse::<()>(
                "#/type".to_owned(),
                if other.is_some() { Sentence::NotAString } else { Sentence::Required },
            );
            String::new()
        }
    };
    match kind.as_str() {
        "" => fields.finish(|| None),
        "place" => {
            let meal_id = fields.required_number("meal_id", MealId::new);
            let key = fields.text("key", IdempotencyKey::parse);
            let readable =
                |text: &str| Ok::<_, Infallible>(TraceContext::parse(text).map(Box::new));
            let traceparent = fields.text("traceparent", readable).flatten();
            let place = |meal_id| Command::Place(PlaceOrder { meal_id, key, traceparent });
            fields.finish(|| meal_id.map(place))
        }
        "cancel" => {
            let order_id = fields.required_number("order_id", OrderId::new);
            let reason = fields.text("reason", ReasonText::parse);
            fields.finish(|| {
                Some(Command::Cancel(CancelOrder { order_id: order_id?, reason, expected: None }))
            })
        }
        "delete" => {
            let order_id = fields.required_number("order_id", OrderId::new);
            fields.finish(|| {
                Some(Command::Delete(DeleteOrder { order_id: order_id?, expected: None }))
            })
        }
        "get" => {
            let order_id = fields.required_number("order_id", OrderId::new);
            fields.finish(|| Some(Command::Get(GetOrder { order_id: order_id? })))
        }
        "orders" => {
            let status = fields.list("status", str::parse::<Status>).unwrap_or_default();
            let limit = fields.number("limit", limit).unwrap_or(DEFAULT_LIMIT);
            let cursor = fields.text("cursor", str::parse::<PageCursor>);
            let list = ListOrders { status, limit, cursor, ..ListOrders::default() };
            fields.finish(|| Some(Command::Orders(list)))
        }
        "menu" => {
            let cursor = fields.text("cursor", str::parse::<PageCursor>);
            fields.finish(|| Some(Command::Menu { cursor }))
        }
        "watch" => {
            let status = fields.list("status", str::parse::<Status>).unwrap_or_default();
            let hero_id = fields.number("hero_id", HeroId::new);
            let max_rate = fields.number("max_rate", rate);
            // An unreadable cursor is not an error: the watch starts over.
            let cursor = fields.text("cursor", |text| Ok::<_, Infallible>(text.to_owned()));
            let watch = Watch { status, hero_id, cursor, ..Watch::all(max_rate) };
            fields.finish(|| Some(Command::Watch(watch)))
        }
        "auth" => {
            let token = fields.required_text("token", BearerToken::parse);
            fields.finish(|| Some(Command::Auth { token: token? }))
        }
        "ping" => fields.finish(|| Some(Command::Ping)),
        "help" => fields.finish(|| Some(Command::Help)),
        unknown => Err(nearest_command::unknown(audience, unknown)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{Audience, ClientFrame, Command, CommandId, PINNED};

    /// Bad frames, and below each the id and the text of the answer.
    const BAD_FRAMES: &str = r#"
{
None malformed-json: EOF while parsing an object at line 1 column 1
{"id":1}
Some(Number(1)) validation-failed: #/type is required
{"id":1,"type":"place"}
Some(Number(1)) validation-failed: #/meal_id is required
{"id":1,"type":"place","meal_id":"2"}
Some(Number(1)) validation-failed: #/meal_id must be an integer
{"type":"get","order_id":1,"x":1}
None validation-failed: #/x is not a known field
{"type":"get","order_id":0}
None validation-failed: #/order_id must be an integer from 1 to 9007199254740991
{"type":"ping","id":1.5}
None validation-failed: #/id must be an integer or a string of at most 255 characters
{"type":"get","id":2,"order_id":1,"order_id":2}
Some(Number(2)) validation-failed: #/order_id must not be repeated
{"type":"orders","limit":101}
None validation-failed: #/limit must be from 1 to 100
{"type":"watch","max_rate":0}
None validation-failed: #/max_rate must be from 1 to 50
{"type":"plaice","id":3}
Some(Number(3)) unknown-command: there is no command `plaice`; did you mean `place`?
"#;

    #[test]
    fn every_command_of_the_contract_is_read() {
        for line in PINNED.lines() {
            let frame = ClientFrame::parse(line, Audience::Hero).expect("a good frame");
            let pinned: Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(serde_json::to_value(&frame).expect("a frame is JSON"), pinned);
        }
        let parsed = ClientFrame::parse(r#"{"type":"ping","id":"eight"}"#, Audience::Hero)
            .expect("a good frame");
        assert_eq!(
            parsed,
            ClientFrame { id: Some(CommandId::Text("eight".to_owned())), command: Command::Ping }
        );
    }

    #[test]
    fn a_bad_frame_is_answered_under_its_id() {
        let lines: Vec<&str> = BAD_FRAMES.trim().lines().collect();
        for pair in lines.chunks(2) {
            let (id, problem) =
                ClientFrame::parse(pair[0], Audience::Hero).expect_err("a bad frame");
            let answer = format!("{id:?} {}: {}", problem.kind.slug(), problem.detail);
            assert_eq!(answer, pair[1], "{}", pair[0]);
        }
    }
}
