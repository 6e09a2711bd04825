//! The vocabulary of Galley: validated domain types, the life cycle of an order, the frames of the
//! WebSocket, the table of problems, the table of close codes and the messages between processes.
//!
//! It does no I/O, and uses no clock and no randomness. All other crates use these types.

pub mod allergy;
pub mod asyncapi;
pub mod audience;
pub mod bearer_token;
pub mod character;
pub mod close_code;
pub mod command;
pub mod cursor;
pub mod fields;
pub mod finding;
pub mod frame;
pub mod harmless;
pub mod hero;
pub mod id;
pub mod jwt;
pub mod language;
pub mod lifecycle;
pub mod meal;
pub mod message_keys;
mod nearest_command;
pub mod network;
pub mod order;
pub mod picture;
pub mod price;
pub mod problem;
pub mod problem_type;
pub mod process_report;
pub mod resource;
pub mod sentence;
pub mod strict;
pub mod text;
pub mod timestamp;
pub mod trace_context;
pub mod update;
pub mod words;

pub use audience::Audience;
pub use bearer_token::BearerToken;
pub use command::{CancelOrder, DeleteOrder, GetOrder, ListOrders, OfHero, PlaceOrder, Watch};
pub use cursor::{CursorKey, PageCursor, ResumeCursor, SignedCursor};
pub use hero::{Hero, HeroPatch, HeroRef, NewHero};
pub use id::{HeroId, IncarnationId, MealId, OrderId, PublisherId, Version};
pub use language::Language;
pub use lifecycle::{Reason, Status, Transition};
pub use meal::{Meal, MealPatch, MealRef, NewMeal};
pub use message_keys::{MessageKeys, MessageOrigin};
pub use order::{Deleted, Order, OrderView};
pub use picture::Picture;
pub use price::Price;
pub use problem::{FieldError, Problem};
pub use problem_type::ProblemType;
pub use process_report::{GatewayReport, ProcessReport, RepairCauses, WorkerReport};
pub use resource::Resource;
pub use sentence::Sentence;
pub use text::{
    Allergy, Description, HeroName, IdempotencyKey, Ingredient, MealName, NamePart, Planet,
    ReasonText,
};
pub use timestamp::Timestamp;
pub use trace_context::{TraceContext, TraceId};
pub use update::{Update, UpdateBatch, UpdateError};
