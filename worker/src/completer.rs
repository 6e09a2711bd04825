//! Completes the orders that are due.
//!
//! One task. One guarded statement completes everything that is due, and the next batch fills
//! meanwhile. An order without delay completes without waiting for a timer, unless there are many.
//! A batch that failed is tried again, so nothing is lost; the worker is late by then and takes no
//! more orders. A state is never published before it was committed.

use std::sync::Arc;

use galley_bus::Backoff;
use galley_fail_points::{FailPoint, reach};
use galley_protocol::{Order, OrderId, Update};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::preparation::DueOrder;
use crate::tick;
use crate::traced_orders::trace;
use crate::worker_state::WorkerState;

/// Runs until stopped; then completes the orders that are due by then.
pub(crate) async fn run(state: Arc<WorkerState>, stop: CancellationToken) {
    loop {
        // After the stop, this goes on until nothing is due.
        let due = state.take_due();
        if !due.is_empty() {
            let began = Instant::now();
            complete(&state, &due).await;
            stop.run_until_cancelled(tick::gather(began, due.len())).await;
        } else if stop.run_until_cancelled(state.due()).await.is_none() {
            return;
        }
    }
}

/// Completes a batch, however long it takes. Orders that the statement left out were cancelled or
/// belong to another worker by now, unless an earlier attempt completed them.
async fn complete(state: &WorkerState, due: &[DueOrder]) {
    let ids: Vec<OrderId> = due.iter().map(|due| due.id).collect();
    let mut backoff = Backoff::AWAY;
    let mut repeated = false;
    let pending = state.bus.begin();
    let spans = state.traced.complete(due);
    let completed: Vec<Order> = loop {
        match state.store.complete(state.owner, &ids).await {
            Ok(completed) => break completed,
            Err(error) => {
                // This attempt may have completed orders, which the next one then leaves out.
                repeated |= error.is_uncertain();
                state.outage.note("complete", &error);
            }
        }
        backoff.wait().await;
    };
    if !completed.is_empty() {
        reach(FailPoint::AfterCompleteCommit);
    }
    let now = Instant::now();
    for due in due {
        metrics::histogram!(galley_telemetry::COMPLETION_LAG_SECONDS)
            .record((now - due.at).as_secs_f64());
    }
    for order in &completed {
        if let Some(completed) = order.completed_time {
            metrics::histogram!(galley_telemetry::ORDER_SECONDS)
                .record(completed.since(order.order_time));
        }
    }
    state.counts.completed.add(completed.len());
    metrics::counter!(galley_telemetry::ORDERS_COMPLETED).increment(completed.len() as u64);
    let mut updates: Vec<Update> = completed.iter().map(Update::of).collect();
    trace(&spans, &mut updates);
    drop(spans);
    state.publish(&updates).await;
    if repeated {
        state.publish_again(&ids, completed.iter().map(|order| order.id)).await;
        pending.doubt();
    }
}
