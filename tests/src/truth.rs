//! The orders in the database, read over REST.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use galley_protocol::Timestamp;
use serde_json::Value;

use crate::Client;
use crate::json::{id, version};
use crate::picture::State;

/// Heroes read at the same time.
const AT_ONCE: usize = 8;

/// The orders of some heroes.
#[derive(Debug, Default)]
pub struct Truth(HashMap<i64, HashMap<i64, Stored>>);

/// An order in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its version and status.
    pub state: State,
    /// The time of the change to this version.
    pub changed: Timestamp,
}

impl Truth {
    /// Reads every order of these heroes.
    pub async fn read(client: &Client, heroes: &[i64]) -> Arc<Self> {
        let reads = stream::iter(heroes).map(async |hero| {
            let orders = client.all(&format!("/heroes/{hero}/orders")).await;
            (*hero, orders.iter().map(|order| (id(order), stored(order))).collect())
        });
        Arc::new(Self(reads.buffer_unordered(AT_ONCE).collect().await))
    }

    /// Waits until no order is open, and reads every order of these heroes.
    pub async fn settled(client: &Client, heroes: &[i64]) -> Arc<Self> {
        client.until_none(&["PENDING", "IN_PROGRESS"]).await;
        Self::read(client, heroes).await
    }

    /// The orders of a hero.
    #[must_use]
    pub fn of(&self, hero: i64) -> &HashMap<i64, Stored> {
        self.0.get(&hero).unwrap_or_else(|| panic!("the orders of hero {hero} were not read"))
    }
}

fn stored(order: &Value) -> Stored {
    let time = |field: &str| order[field].as_str().map(|time| time.parse().expect("a time"));
    let changed = time("completed_time").or(time("started_time")).or(time("order_time"));
    let status = serde_json::from_value(order["status"].clone()).expect("a status");
    let state = State { version: version(order), status: Some(status) };
    Stored { state, changed: changed.expect("every order has a time") }
}
