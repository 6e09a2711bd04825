//! What the tests of the screen play to it.

use std::ops::RangeInclusive;

use galley_protocol::{Order, Timestamp};
use serde_json::json;

use super::model::Model;
use crate::cli::client_session::SessionEvent;

/// A full second.
const MILLIS: i64 = 1_795_361_820_000;

/// So many seconds later.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(MILLIS + 1_000 * seconds).expect("in range")
}

/// A model that knows nothing.
pub fn model() -> Model {
    Model::new("http://a:1")
}

/// An order of hero 1, placed ten seconds ago, started a second later and ended after two more.
pub fn order(id: i64, status: &str, version: i32) -> Order {
    let reached = |least, seconds| (version >= least).then(|| at(seconds).to_string());
    serde_json::from_value(json!({
        "id": id, "hero_id": 1, "meal_id": 2, "status": status, "version": version,
        "message": (status == "CANCELLED").then_some("Allergy conflict: Nut"), "reason": (status == "CANCELLED").then_some("allergy"),
        "order_time": reached(1, -10), "started_time": reached(2, -9), "completed_time": reached(3, -7),
    }))
    .expect("an order")
}

/// Many alike.
pub fn orders(ids: RangeInclusive<i64>, status: &str, version: i32) -> Vec<Order> {
    ids.map(|id| order(id, status, version)).collect()
}

/// A frame as it comes.
pub fn frame(text: &str) -> SessionEvent {
    SessionEvent::Frame {
        text: text.to_owned(),
        frame: serde_json::from_str(text).expect("a frame"),
    }
}

/// What staff is told.
pub fn feed(orders: &[Order]) -> SessionEvent {
    let totals = json!({"PENDING": 7, "IN_PROGRESS": 0, "COMPLETED": 0, "CANCELLED": 0});
    frame(&json!({"type": "feed", "orders": orders, "totals": totals}).to_string())
}

/// What a hero is told first.
pub fn welcome(orders: &[Order]) -> SessionEvent {
    let hero = json!({"id": 1, "name": "Zoé", "planet": "Earth", "allergies": [], "version": 1});
    frame(
        &json!({"type": "welcome", "hero": hero, "resume": "fresh", "orders": orders, "cursor": "r1.1", "help": ""}).to_string(),
    )
}
