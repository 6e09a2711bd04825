//! A socket with the states of all its frames.

use std::collections::BTreeMap;

use galley_tests::TestSocket;
use galley_tests::json::{id, text, version};
use serde_json::Value;

/// An order in its status and version.
pub type OrderState = (i64, &'static str, i64);

/// The status of an order that was deleted.
pub const DELETED: &str = "DELETED";

/// A socket with all received states: the status of each version of each order.
pub struct SocketWatcher {
    socket: TestSocket,
    told: BTreeMap<(i64, i64), String>,
}

impl SocketWatcher {
    /// Watches a socket from its welcome on.
    pub fn new(socket: TestSocket) -> Self {
        let welcome = socket.welcome.clone();
        let mut watcher = Self { socket, told: BTreeMap::new() };
        watcher.note(&welcome);
        watcher
    }

    /// Reads until each of these states was received.
    pub async fn until(&mut self, states: &[OrderState]) {
        while !self.was_told(states) {
            self.listen().await;
        }
    }

    /// Reads until the order was received in this version or a later one.
    pub async fn until_version(&mut self, order: i64, version: i64) {
        while self.told.range((order, version)..=(order, i64::MAX)).next().is_none() {
            self.listen().await;
        }
    }

    /// Returns true if each of these states was received.
    pub fn was_told(&self, states: &[OrderState]) -> bool {
        states.iter().all(|(order, status, version)| {
            self.told.get(&(*order, *version)).is_some_and(|told| told == status)
        })
    }

    async fn listen(&mut self) {
        let frame = self.socket.next().await;
        self.note(&frame);
    }

    /// Adds the states of a frame. A version must have the same state in every frame, and only the
    /// deletion may follow the end.
    fn note(&mut self, frame: &Value) {
        let many = |field: &str| frame[field].as_array().into_iter().flatten();
        let order = frame["order"].is_object().then_some(&frame["order"]);
        let orders = many("orders")
            .chain(order)
            .map(|order| (id(order), version(order), text(order, "status")));
        let deleted = many("deleted").chain((frame["type"] == "deleted").then_some(frame));
        let deleted = deleted.map(|deleted| {
            (deleted["order_id"].as_i64().expect("an id"), version(deleted), DELETED)
        });
        for (order, version, status) in orders.chain(deleted) {
            let known = self.told.entry((order, version)).or_insert_with(|| status.to_owned());
            assert_eq!(known, status, "two states of order {order} have version {version}");
            let versions: Vec<&str> = self
                .told
                .range((order, 0)..=(order, i64::MAX))
                .map(|(_, status)| status.as_str())
                .collect();
            assert!(
                versions.windows(2).all(|pair| may_follow(pair[0], pair[1])),
                "order {order} went through {versions:?}"
            );
        }
    }
}

fn may_follow(earlier: &str, later: &str) -> bool {
    match earlier {
        "PENDING" => later != "PENDING",
        "IN_PROGRESS" => later != "PENDING" && later != "IN_PROGRESS",
        "COMPLETED" | "CANCELLED" => later == DELETED,
        _ => false,
    }
}
