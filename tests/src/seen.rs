//! What a client has seen of its hero's orders.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::json::{id, text, version};

/// The newest state of every order, from whatever frames came in whatever order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen(BTreeMap<i64, (i64, String)>);

impl Seen {
    /// Learns from a frame.
    pub fn learn(&mut self, frame: &Value) {
        let listed = frame["orders"].as_array().into_iter().flatten();
        let told = Some(&frame["order"]).filter(|order| order.is_object() && frame["type"] == "order");
        for order in listed.chain(told) {
            self.note(id(order), version(order), text(order, "status"));
        }
        for deleted in frame["deleted"].as_array().into_iter().flatten() {
            self.note(deleted["order_id"].as_i64().expect("an id"), version(deleted), "deleted");
        }
        if frame["type"] == "deleted" {
            self.note(frame["order_id"].as_i64().expect("an id"), version(frame), "deleted");
        }
    }

    /// The orders that are there, with version and status.
    #[must_use]
    pub fn orders(&self) -> BTreeMap<i64, (i64, String)> {
        self.0.iter().filter(|(_, (_, status))| status != "deleted").map(|(id, state)| (*id, state.clone())).collect()
    }

    fn note(&mut self, id: i64, version: i64, status: &str) {
        let known = self.0.entry(id).or_insert((0, String::new()));
        if known.0 < version {
            *known = (version, status.to_owned());
        }
    }
}
