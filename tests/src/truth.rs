//! The orders in the database, read over REST.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use galley_protocol::{Order, OrderId};

use crate::TestClient;

/// Heroes read at the same time.
const AT_ONCE: usize = 8;

/// The orders of some heroes.
#[derive(Debug, Default)]
pub struct Truth(HashMap<i64, HashMap<OrderId, Order>>);

impl Truth {
    /// Reads every order of these heroes.
    pub async fn read(client: &TestClient, heroes: &[i64]) -> Arc<Self> {
        let reads = stream::iter(heroes).map(async |hero| {
            let orders = client.all(&format!("/heroes/{hero}/orders")).await;
            let orders = orders.into_iter().map(|order| {
                let order: Order = serde_json::from_value(order).expect("an order");
                (order.id, order)
            });
            (*hero, orders.collect())
        });
        Arc::new(Self(reads.buffer_unordered(AT_ONCE).collect().await))
    }

    /// Waits until no order is open, and reads every order of these heroes.
    pub async fn settled(client: &TestClient, heroes: &[i64]) -> Arc<Self> {
        client.until_none(&["PENDING", "IN_PROGRESS"]).await;
        Self::read(client, heroes).await
    }

    /// The orders of a hero.
    #[must_use]
    pub fn of(&self, hero: i64) -> &HashMap<OrderId, Order> {
        self.0.get(&hero).unwrap_or_else(|| panic!("the orders of hero {hero} were not read"))
    }
}
