//! The low watermark as this process knows it: an order id, at least 1.

use std::sync::atomic::{AtomicI64, Ordering};

use galley_protocol::OrderId;

#[derive(Debug)]
pub(crate) struct LowWatermark(AtomicI64);

impl Default for LowWatermark {
    fn default() -> Self {
        Self(AtomicI64::new(1))
    }
}

impl LowWatermark {
    pub(crate) fn get(&self) -> OrderId {
        OrderId::new(self.0.load(Ordering::Relaxed))
            .expect("begins at 1 and takes only what is an id")
    }

    /// The smallest id above `after` and not below the low watermark.
    pub(crate) fn after(&self, after: Option<OrderId>) -> i64 {
        self.get().get().max(after.map_or(0, OrderId::get) + 1)
    }

    /// Stores the database's value. After a failover without the last commits it may be lower.
    pub(crate) fn set(&self, low_watermark: i64) {
        if OrderId::new(low_watermark).is_ok() {
            self.0.store(low_watermark, Ordering::Relaxed);
        }
    }
}
