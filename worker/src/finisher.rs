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

use crate::kitchen::Kitchen;
use crate::preparation::Due;
use crate::tick;

/// Runs until stopped; then completes the orders that are due by then.
pub(crate) async fn run(kitchen: Arc<Kitchen>, stop: CancellationToken) {
    loop {
        // After the stop, this goes on until nothing is due.
        let due = kitchen.take_due();
        if !due.is_empty() {
            let began = Instant::now();
            complete(&kitchen, &due).await;
            stop.run_until_cancelled(tick::gather(began, due.len())).await;
        } else if stop.run_until_cancelled(kitchen.due()).await.is_none() {
            return;
        }
    }
}

/// Completes a batch, however long it takes. Orders that the statement left out were cancelled or
/// belong to another worker by now, unless an earlier attempt completed them.
async fn complete(kitchen: &Kitchen, due: &[Due]) {
    let ids: Vec<OrderId> = due.iter().map(|due| due.id).collect();
    let mut backoff = Backoff::AWAY;
    let mut repeated = false;
    let pending = kitchen.bus.begin();
    let completed: Vec<Order> = loop {
        match kitchen.store.complete(kitchen.owner, &ids).await {
            Ok(completed) => break completed,
            Err(error) => {
                // This attempt may have completed orders, which the next one then leaves out.
                repeated |= error.is_uncertain();
                kitchen.outage.note("complete", &error);
            }
        }
        backoff.wait().await;
    };
    if !completed.is_empty() {
        reach(FailPoint::AfterCompleteCommit);
    }
    let now = Instant::now();
    for due in due {
        metrics::histogram!("galley_completion_lag_seconds").record((now - due.at).as_secs_f64());
    }
    metrics::counter!("galley_orders_completed_total").increment(completed.len() as u64);
    let updates: Vec<Update> = completed.iter().map(Update::of).collect();
    kitchen.tell(&updates).await;
    if repeated {
        kitchen.tell_again(&ids, completed.iter().map(|order| order.id)).await;
        pending.doubt();
    }
}
