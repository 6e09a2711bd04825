//! The messages of orders in the language of a reader.
//!
//! The database keeps the `message` of an order as it was written: by a person, or in English by
//! the service. An order is encoded once for all readers. For readers of another language the
//! service's own messages are exchanged in the encoded orders, where they go out. Texts of people
//! stay.

use super::{Language, Reason};

/// The beginning of the message of an order, in any frame and any answer. No text can contain it,
/// because its quotation marks would be escaped.
const MESSAGE: &str = "\"message\":\"";

impl Language {
    /// Returns JSON with the messages of its orders in this language; `None` if nothing changes. It
    /// must be JSON that this service encoded, in which `reason` follows `message`.
    #[must_use]
    pub fn messages_in(self, json: &[u8]) -> Option<Vec<u8>> {
        // English readers cost nothing.
        if self == Self::default() {
            return None;
        }
        let (mut said, mut rest) = (String::new(), std::str::from_utf8(json).ok()?);
        let mut is_changed = false;
        while let Some(at) = rest.find(MESSAGE) {
            let (before, message) = rest.split_at(at + MESSAGE.len());
            said.push_str(before);
            rest = message;
            if let Some((own, after)) = self.exchanged(message) {
                said.push_str(own);
                rest = after;
                is_changed = true;
            }
        }
        said.push_str(rest);
        is_changed.then(|| said.into_bytes())
    }

    /// Returns the beginning of a message in this language, if the service wrote it, and the text
    /// after the English one.
    fn exchanged(self, message: &str) -> Option<(&'static str, &str)> {
        let (stored, after) = message.split_at(end(message)?);
        let reason = Reason::ALL.into_iter().find(|reason| {
            let word = serde_json::to_string(reason).unwrap_or_default();
            after.strip_prefix("\",\"reason\":").is_some_and(|after| after.starts_with(&word))
        })?;
        let english = reason.message();
        let is_own =
            stored == english || (reason == Reason::Allergy && stored.starts_with(english));
        is_own.then(|| (self.message(reason), &message[english.len()..]))
    }
}

/// Returns the length of a JSON string whose first quotation mark is cut off.
fn end(string: &str) -> Option<usize> {
    let mut is_escaped = false;
    string.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Language;
    use crate::{HeroId, MealId, Order, OrderId, PlaceOrder, Reason, Status, Timestamp};

    fn order(reason: Option<Reason>, message: Option<&str>) -> Order {
        let command = PlaceOrder::of(MealId::FIRST);
        let placed = Order::placed(OrderId::FIRST, HeroId::FIRST, &command, Timestamp::EPOCH);
        let message = message.map(str::to_owned);
        Order { status: Status::Cancelled, reason, message, ..placed }
    }

    fn messages(orders: &[Order], language: Language) -> Vec<Value> {
        let json = serde_json::to_vec(&EncodedOrders { orders }).expect("JSON");
        let said = language.messages_in(&json).unwrap_or(json);
        let frame: Value = serde_json::from_slice(&said).expect("still JSON");
        let orders = frame["orders"].as_array().expect("a list").clone();
        orders.into_iter().map(|mut order| order["message"].take()).collect()
    }

    #[derive(serde::Serialize)]
    struct EncodedOrders<'a> {
        orders: &'a [Order],
    }

    #[test]
    fn the_service_s_messages_are_exchanged_and_people_s_are_not() {
        let french = Language::accepted("fr").expect("French");
        let own = Reason::HeroRequest.message();
        let orders = [
            order(Some(Reason::HeroRequest), Some(own)),
            order(Some(Reason::HeroRequest), Some("Allergy conflict: \"milk\"")),
            order(Some(Reason::HeroRequest), Some("x\",\"reason\":\"allergy\"\\")),
            order(Some(Reason::Allergy), Some("Allergy conflict: \"nut\\s\", milk")),
            order(Some(Reason::HeroGone), Some(Reason::HeroGone.message())),
            order(Some(Reason::MealGone), Some(Reason::MealGone.message())),
            order(Some(Reason::Undeliverable), Some(Reason::Undeliverable.message())),
            order(None, None),
        ];
        let in_french = [
            json!("Annulée à la demande du héros"),
            json!("Allergy conflict: \"milk\""),
            json!("x\",\"reason\":\"allergy\"\\"),
            json!("Conflit d'allergie : \"nut\\s\", milk"),
            json!("Le héros a été supprimé"),
            json!("Le plat a été retiré du menu"),
            json!("La cuisine n'a pas pu préparer cette commande"),
            Value::Null,
        ];
        assert_eq!(messages(&orders, french), in_french);
        assert_eq!(messages(&orders, Language::default())[0], own);
    }
}
