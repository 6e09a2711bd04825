//! The floor as this process knows it: at least 1, and never falling.

use std::sync::atomic::{AtomicI64, Ordering};

use galley_protocol::OrderId;

#[derive(Debug)]
pub(crate) struct Floor(AtomicI64);

impl Default for Floor {
    fn default() -> Self {
        Self(AtomicI64::new(1))
    }
}

impl Floor {
    pub(crate) fn get(&self) -> OrderId {
        OrderId::new(self.0.load(Ordering::Relaxed)).expect("begins at 1 and takes only what is an id")
    }

    /// The smallest id above `after` that is not below the floor.
    pub(crate) fn after(&self, after: Option<OrderId>) -> i64 {
        self.get().get().max(after.map_or(0, OrderId::get) + 1)
    }

    /// Takes what the database says.
    pub(crate) fn raise(&self, to: i64) {
        if OrderId::new(to).is_ok() {
            self.0.fetch_max(to, Ordering::Relaxed);
        }
    }
}
