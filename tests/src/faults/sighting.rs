//! The states of orders in answers and frames.

use serde_json::Value;

/// An order in one of its versions.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// The order.
    pub order: i64,
    /// The version.
    pub version: i64,
    /// The order as on the wire; `None` once it is deleted.
    pub state: Option<Value>,
}

impl Sighting {
    /// The status; empty once it is deleted.
    #[must_use]
    pub fn status(&self) -> &str {
        self.state.as_ref().and_then(|state| state["status"].as_str()).unwrap_or_default()
    }
}

/// Returns every order in this answer or frame.
#[must_use]
pub fn sightings(shown: &Value) -> Vec<Sighting> {
    let mut found = Vec::new();
    collect(shown, &mut found);
    found
}

fn collect(shown: &Value, found: &mut Vec<Sighting>) {
    if !shown.is_object() {
        return;
    }
    if let (Some(order), Some(version), true) =
        (shown["id"].as_i64(), shown["version"].as_i64(), shown["status"].is_string())
    {
        found.push(Sighting { order, version, state: Some(as_frame(shown)) });
        return;
    }
    if let (Some(order), Some(version)) = (shown["order_id"].as_i64(), shown["version"].as_i64()) {
        found.push(Sighting { order, version, state: None });
        return;
    }
    for field in ["order", "problem"] {
        collect(&shown[field], found);
    }
    for field in ["orders", "items", "deleted"] {
        shown[field].as_array().into_iter().flatten().for_each(|entry| collect(entry, found));
    }
}

/// Returns the order without the names that only a read adds.
fn as_frame(order: &Value) -> Value {
    let mut order = order.clone();
    if let Some(fields) = order.as_object_mut() {
        fields.remove("hero");
        fields.remove("meal");
    }
    order
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use serde_json::{Value, json};

    use super::sightings;

    fn seen(shown: &Value) -> Vec<(i64, i64, String)> {
        sightings(shown)
            .iter()
            .map(|seen| (seen.order, seen.version, seen.status().to_owned()))
            .collect()
    }

    #[test]
    fn every_kind_of_answer_and_frame_is_understood() {
        let order = json!({"id": 7, "version": 2, "status": "IN_PROGRESS", "hero": {"id": 1}});
        let state = (7, 2, "IN_PROGRESS".to_owned());
        let gone = (8, 4, String::new());
        let gone_entry = json!([{"order_id": 8, "version": 4}]);
        assert_eq!(seen(&order), from_ref(&state));
        assert_eq!(
            sightings(&order)[0].state,
            Some(json!({"id": 7, "version": 2, "status": "IN_PROGRESS"}))
        );
        assert_eq!(seen(&json!({"type": "order", "order": order})), from_ref(&state));
        assert_eq!(seen(&json!({"type": "reply", "id": 1, "items": [order]})), from_ref(&state));
        assert_eq!(
            seen(&json!({"type": "error", "problem": {"status": 409, "order": order}})),
            from_ref(&state)
        );
        assert_eq!(seen(&json!({"type": "deleted", "order_id": 8, "version": 4})), from_ref(&gone));
        assert_eq!(
            seen(&json!({"type": "welcome", "orders": [order], "deleted": gone_entry})),
            [state, gone]
        );
        assert_eq!(seen(&json!({"type": "reply", "deleted": true, "order_id": 8})), []);
    }
}
