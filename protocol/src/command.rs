//! The commands for orders. Each has one type, from every way in – REST, frames, words, the command
//! line – to the store.

use serde::Serialize;
use utoipa::ToSchema;

use crate::sentence::Sentence;
use crate::{
    HeroId, IdempotencyKey, MealId, OrderId, PageCursor, ReasonText, Status, Timestamp,
    TraceContext, Version,
};

/// The most orders in one answer.
pub const MAX_LIMIT: usize = 100;
/// The orders in one answer when a caller names no limit.
pub const DEFAULT_LIMIT: usize = MAX_LIMIT / 2;
/// The most `feed` frames a second that a watcher may ask for.
const MAX_RATE: u8 = 50;
const DEFAULT_RATE: u8 = 10;

/// A command and the hero whose orders it is about. As an `Option`, `None` stands for all heroes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfHero<C, H = Option<HeroId>> {
    /// The hero.
    pub hero_id: H,
    /// The command.
    pub command: C,
}

/// An order to place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlaceOrder {
    /// The meal to order.
    pub meal_id: MealId,
    /// The idempotency key: repeating the command with it returns the same order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub key: Option<IdempotencyKey>,
    /// The span of the client that places the order (W3C Trace Context). One that cannot be read
    /// is ignored. Only of frames: a request has a header.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub traceparent: Option<Box<TraceContext>>,
}

/// An order to cancel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(description = "Cancel an order.")]
pub struct CancelOrder {
    /// The order to cancel.
    pub order_id: OrderId,
    /// The reason, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<ReasonText>,
    /// The version that the order must have. No part of frames.
    #[serde(skip)]
    pub expected: Option<Version>,
}

/// An order to delete. It has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(description = "Delete an order that has ended.")]
pub struct DeleteOrder {
    /// The order to delete.
    pub order_id: OrderId,
    /// The version that the order must have. No part of frames.
    #[serde(skip)]
    pub expected: Option<Version>,
}

/// An order to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(description = "Read an order.")]
pub struct GetOrder {
    /// The order to read.
    pub order_id: OrderId,
}

/// A page of orders to list, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(description = "List orders, newest first.")]
pub struct ListOrders {
    /// The meal whose orders to include. No part of frames.
    #[serde(skip)]
    pub meal_id: Option<MealId>,
    /// The earliest order time to include. No part of frames.
    #[serde(skip)]
    pub from: Option<Timestamp>,
    /// The order time before which orders are included. No part of frames.
    #[serde(skip)]
    pub to: Option<Timestamp>,
    /// The statuses to include; all if empty.
    #[schema(required = false, max_items = 100)]
    pub status: Vec<Status>,
    /// The maximum number of orders.
    #[schema(required = false, format = Int32, minimum = 1, maximum = 100, default = 50)]
    pub limit: usize,
    /// The `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cursor: Option<PageCursor>,
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

impl PlaceOrder {
    /// Creates a command for a meal, with nothing that is optional.
    #[must_use]
    pub const fn of(meal_id: MealId) -> Self {
        Self { meal_id, key: None, traceparent: None }
    }
}

impl Default for ListOrders {
    fn default() -> Self {
        Self {
            meal_id: None,
            from: None,
            to: None,
            status: Vec::new(),
            limit: DEFAULT_LIMIT,
            cursor: None,
        }
    }
}

impl Watch {
    /// Everything, at `max_rate` or the default.
    #[must_use]
    pub fn all(max_rate: Option<u8>) -> Self {
        let max_rate = max_rate.unwrap_or(DEFAULT_RATE);
        Self { status: Vec::new(), hero_id: None, max_rate, cursor: None }
    }
}

/// Reads the `feed` frames a second that a watcher asks for.
///
/// # Errors
/// A sentence for people when the number is not from 1 to 50.
pub fn rate(number: i64) -> Result<u8, Sentence> {
    u8::try_from(number)
        .ok()
        .filter(|rate| (1..=MAX_RATE).contains(rate))
        .ok_or(Sentence::OutOfRange(1, usize::from(MAX_RATE)))
}

/// Reads a page's limit.
///
/// # Errors
/// A sentence for people when the number is not from 1 to [`MAX_LIMIT`].
pub fn limit(number: i64) -> Result<usize, Sentence> {
    usize::try_from(number)
        .ok()
        .filter(|limit| (1..=MAX_LIMIT).contains(limit))
        .ok_or(Sentence::OutOfRange(1, MAX_LIMIT))
}
