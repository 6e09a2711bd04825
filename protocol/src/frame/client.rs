//! The frames of clients.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::audience::Audience;
use crate::fields::{Fields, whole};
use crate::problem::{Problem, ProblemType};
use crate::strict::Strict;
use crate::{BearerToken, HeroId, IdempotencyKey, MealId, OrderId, PageCursor, ReasonText, Status};

/// The pinned wire format: one frame per line, one of each command, that clients may send for ever.
/// The documentation takes its examples from here.
pub const PINNED: &str = include_str!("client.jsonl");
/// The most orders in one answer. The default is half of it.
pub const MAX_LIMIT: usize = 100;
/// The most characters of a command's id.
const MAX_COMMAND_ID: usize = 255;
/// The most `feed` frames a second that a watcher may ask for.
const MAX_RATE: i64 = 50;
/// The `feed` frames a second if a watcher asks for no rate.
const DEFAULT_RATE: i64 = 10;

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
    Place(Place),
    /// Cancel an order.
    Cancel {
        /// The order to cancel.
        order_id: OrderId,
        /// The reason, for people.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        reason: Option<ReasonText>,
    },
    /// Delete an order that has ended.
    Delete {
        /// The order to delete.
        order_id: OrderId,
    },
    /// Read an order.
    Get {
        /// The order to read.
        order_id: OrderId,
    },
    /// List orders, newest first.
    Orders {
        /// The statuses to include; all if empty.
        #[schema(required = false, max_items = 100)]
        status: Vec<Status>,
        /// The maximum number of orders.
        #[schema(required = false, minimum = 1, maximum = 100, default = 50)]
        limit: usize,
        /// The `next_cursor` of the page before.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        cursor: Option<PageCursor>,
    },
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

/// An order to place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Place {
    /// The meal to order.
    pub meal_id: MealId,
    /// The idempotency key: repeating the command with it returns the same order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub key: Option<IdempotencyKey>,
}

/// What a watcher wants to see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Watch {
    /// The statuses to include; all if empty.
    #[schema(required = false, max_items = 100)]
    pub status: Vec<Status>,
    /// The hero whose orders to include.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub hero_id: Option<HeroId>,
    /// The maximum number of `feed` frames per second.
    #[schema(required = false, minimum = 1, maximum = 50, default = 10)]
    pub max_rate: u8,
    /// The last cursor that a `feed` frame or the reply to `watch` carried: what changed since then
    /// comes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cursor: Option<String>,
}

impl ClientFrame {
    /// Parses a JSON object. An error offers only the commands of the sender.
    ///
    /// # Errors
    /// A problem, with the command's id if that could be read.
    pub(crate) fn parse_json(
        message: &str,
        audience: Audience,
    ) -> Result<Self, (Option<CommandId>, Problem)> {
        let read = Strict::read(message.as_bytes()).map_err(|error| {
            (None, Problem::new(ProblemType::MalformedJson).with_detail(error.to_string()))
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
                fields.refuse(
                    "#/id".to_owned(),
                    "must be an integer or a string of at most 255 characters",
                )
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
                if other.is_some() { "must be a string" } else { "is required" },
            );
            String::new()
        }
    };
    match kind.as_str() {
        "" => fields.finish(|| None),
        "place" => {
            let meal_id = fields.required_integer("meal_id", MealId::new);
            let key = fields.text("key", IdempotencyKey::parse);
            fields.finish(|| Some(Command::Place(Place { meal_id: meal_id?, key })))
        }
        "cancel" => {
            let order_id = fields.required_integer("order_id", OrderId::new);
            let reason = fields.text("reason", ReasonText::parse);
            fields.finish(|| Some(Command::Cancel { order_id: order_id?, reason }))
        }
        "delete" => {
            let order_id = fields.required_integer("order_id", OrderId::new);
            fields.finish(|| Some(Command::Delete { order_id: order_id? }))
        }
        "get" => {
            let order_id = fields.required_integer("order_id", OrderId::new);
            fields.finish(|| Some(Command::Get { order_id: order_id? }))
        }
        "orders" => {
            let status = fields.list("status", str::parse::<Status>);
            let limit = fields.integer("limit", limit);
            let cursor = fields.text("cursor", str::parse::<PageCursor>);
            fields.finish(|| {
                Some(Command::Orders {
                    status: status.unwrap_or_default(),
                    limit: limit.unwrap_or(MAX_LIMIT / 2),
                    cursor,
                })
            })
        }
        "menu" => {
            let cursor = fields.text("cursor", str::parse::<PageCursor>);
            fields.finish(|| Some(Command::Menu { cursor }))
        }
        "watch" => {
            let status = fields.list("status", str::parse::<Status>);
            let hero_id = fields.integer("hero_id", HeroId::new);
            let max_rate = fields.integer("max_rate", rate);
            // An unreadable cursor is not an error: the watch starts over.
            let cursor = fields.text("cursor", |text| Ok::<_, Infallible>(text.to_owned()));
            let watch = Watch {
                status: status.unwrap_or_default(),
                hero_id,
                cursor,
                ..Watch::all(max_rate)
            };
            fields.finish(|| Some(Command::Watch(watch)))
        }
        "auth" => {
            let token = fields.required_text("token", BearerToken::parse);
            fields.finish(|| Some(Command::Auth { token: token? }))
        }
        "ping" => fields.finish(|| Some(Command::Ping)),
        "help" => fields.finish(|| Some(Command::Help)),
        unknown => Err(audience.unknown(unknown)),
    }
}

impl Watch {
    /// Returns a watch of everything, at `max_rate` or the default rate.
    #[must_use]
    pub fn all(max_rate: Option<u8>) -> Self {
        let max_rate = max_rate.unwrap_or(u8::try_from(DEFAULT_RATE).unwrap_or(u8::MAX));
        Self { status: Vec::new(), hero_id: None, max_rate, cursor: None }
    }
}

/// Checks the `feed` frames a second that a watcher asks for.
///
/// # Errors
/// A detail for people if the number is not from 1 to 50.
pub fn rate(number: i64) -> Result<u8, String> {
    u8::try_from(number)
        .ok()
        .filter(|rate| (1..=MAX_RATE).contains(&i64::from(*rate)))
        .ok_or_else(|| format!("must be from 1 to {MAX_RATE}"))
}

/// Checks the limit of a page.
///
/// # Errors
/// A detail for people if the number is not from 1 to [`MAX_LIMIT`].
pub fn limit(number: i64) -> Result<usize, String> {
    usize::try_from(number)
        .ok()
        .filter(|limit| (1..=MAX_LIMIT).contains(limit))
        .ok_or_else(|| format!("must be from 1 to {MAX_LIMIT}"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{Audience, ClientFrame, Command, CommandId, PINNED};

    fn error(message: &str) -> (Option<CommandId>, String) {
        let (id, problem) = ClientFrame::parse(message, Audience::Hero).expect_err("a bad frame");
        (id, format!("{}: {}", problem.kind.slug(), problem.detail))
    }

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
        for (frame, id, detail) in [
            ("{", None, "malformed-json: EOF while parsing an object at line 1 column 1"),
            (r#"{"id":1}"#, Some(CommandId::Number(1)), "validation-failed: #/type is required"),
            (
                r#"{"id":1,"type":"place"}"#,
                Some(CommandId::Number(1)),
                "validation-failed: #/meal_id is required",
            ),
            (
                r#"{"id":1,"type":"place","meal_id":"2"}"#,
                Some(CommandId::Number(1)),
                "validation-failed: #/meal_id must be an integer",
            ),
            (
                r#"{"type":"get","order_id":1,"x":1}"#,
                None,
                "validation-failed: #/x is not a known field",
            ),
            (
                r#"{"type":"get","order_id":0}"#,
                None,
                "validation-failed: #/order_id must be an integer from 1 to 9007199254740991",
            ),
            (
                r#"{"type":"ping","id":1.5}"#,
                None,
                "validation-failed: #/id must be an integer or a string of at most 255 characters",
            ),
            (
                r#"{"type":"get","id":2,"order_id":1,"order_id":2}"#,
                Some(CommandId::Number(2)),
                "validation-failed: #/order_id must not be repeated",
            ),
            (
                r#"{"type":"orders","limit":101}"#,
                None,
                "validation-failed: #/limit must be from 1 to 100",
            ),
            (
                r#"{"type":"watch","max_rate":0}"#,
                None,
                "validation-failed: #/max_rate must be from 1 to 50",
            ),
            (
                r#"{"type":"plaice","id":3}"#,
                Some(CommandId::Number(3)),
                "unknown-command: there is no command `plaice`; did you mean `place`?",
            ),
        ] {
            assert_eq!(error(frame), (id, detail.to_owned()), "{frame}");
        }
    }
}
