//! The knowledge of a listener: the highest version of each order in any frame.

use std::collections::HashMap;

use serde_json::Value;

use super::sighting::{Sighting, sightings};
use super::stored::StoredOrder;

/// The knowledge of one listener.
#[derive(Clone, Debug, Default)]
pub struct KnownOrders(HashMap<i64, Sighting>);

impl KnownOrders {
    /// Applies a frame. Answers to commands are ignored: the picture consists of pushed updates.
    pub fn take(&mut self, frame: &Value) {
        if !matches!(
            frame["type"].as_str(),
            Some("welcome" | "order" | "deleted" | "resync" | "feed")
        ) {
            return;
        }
        for seen in sightings(frame) {
            let known = self.0.entry(seen.order).or_insert_with(|| seen.clone());
            if known.version < seen.version {
                *known = seen;
            }
        }
    }

    /// Returns true if this version of an order, or a later one, is known.
    #[must_use]
    pub fn knows(&self, order: i64, version: i64) -> bool {
        self.0.get(&order).is_some_and(|seen| seen.version >= version)
    }

    /// The differences from these orders of the hero in the database.
    #[must_use]
    pub fn differences(&self, stored: &[&StoredOrder]) -> Vec<String> {
        let mut differences = Vec::new();
        for order in stored {
            let agrees = |seen: &Sighting| *seen == order.newest();
            match self.0.get(&order.id) {
                Some(seen) if agrees(seen) => {}
                Some(seen) => differences.push(format!(
                    "order {}: stored {:?}, known {seen:?}",
                    order.id,
                    order.newest()
                )),
                None => differences.push(format!(
                    "order {}: stored {:?}, unknown",
                    order.id,
                    order.newest()
                )),
            }
        }
        let unknown = self.0.keys().filter(|id| !stored.iter().any(|order| order.id == **id));
        differences.extend(unknown.map(|id| format!("order {id} is known and not stored")));
        differences
    }
}
