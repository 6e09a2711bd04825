//! The orders in preparation whose traces are recorded, each with the span of its preparation.
//!
//! It is in memory alone. An order that another worker adopts, or that a worker finds in the
//! database without its entry, is no longer traced: its trace ends with its last step here.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use galley_protocol::{OrderId, Status, Update};
use galley_store::Claimed;
use galley_telemetry::{BatchSpans, Span, SpanKind};

use crate::preparation::DueOrder;

/// The most orders here, some four megabytes. A further one is no longer traced.
const MAX_HELD: usize = 10_000;

/// The steps of one statement, by order.
pub(crate) type OrderSpans = BatchSpans<OrderId>;

#[derive(Debug, Default)]
pub(crate) struct TracedOrders(Mutex<HashMap<OrderId, Span>>);

impl TracedOrders {
    /// Begins the preparation of claimed orders after their claim.
    pub(crate) fn prepare(&self, claims: &OrderSpans, claimed: &[Claimed]) {
        if claims.is_empty() {
            return;
        }
        let mut held = self.held();
        for Claimed { order, .. } in claimed {
            let is_prepared = order.status == Status::InProgress && held.len() < MAX_HELD;
            if let Some(claim) = claims.context(order.id).filter(|_| is_prepared) {
                let mut span =
                    Span::begin("prepare", SpanKind::Internal, &claim, SystemTime::now());
                span.set("galley.order.id", order.id.get());
                held.insert(order.id, span);
            }
        }
    }

    /// Ends the preparation of orders that are due, and begins their completion.
    pub(crate) fn complete(&self, due: &[DueOrder]) -> OrderSpans {
        let mut held = self.held();
        // Usually nothing is traced: the orders are not even looked up.
        let due_here = if held.is_empty() { &[][..] } else { due };
        let prepared =
            due_here.iter().filter_map(|due| Some((due.id, held.remove(&due.id)?.context())));
        let size = (due.len(), SystemTime::now());
        let mut spans = BatchSpans::begin("complete", &SpanKind::Internal, prepared, size);
        log("completing a traced order", &mut spans);
        spans
    }

    fn held(&self) -> MutexGuard<'_, HashMap<OrderId, Span>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds the steps to the updates that they made.
pub(crate) fn trace(spans: &OrderSpans, updates: &mut [Update]) {
    if !spans.is_empty() {
        for update in updates {
            update.trace = spans.context(update.order_id).map(Box::new);
        }
    }
}

/// Names the order of each step, in its span and in the log.
pub(crate) fn log(what: &'static str, spans: &mut OrderSpans) {
    for (order_id, span) in spans.spans() {
        span.set("galley.order.id", order_id.get());
        let trace_id = span.context().trace_id;
        tracing::debug!(order_id = order_id.get(), %trace_id, "{what}");
    }
}
