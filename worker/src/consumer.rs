//! Reads the dispatch queue and claims the orders in it.
//!
//! One task. It settles an entry only after the claim has committed, and then at once. The pending
//! list therefore stays short, and no other worker claims an entry that is only waiting. It claims
//! nothing while there is no room.

use std::sync::Arc;
use std::time::SystemTime;

use galley_bus::{Backoff, Entry, Queue};
use galley_protocol::OrderId;
use galley_store::{ClaimFrom, MAX_BATCH};
use galley_telemetry::SpanKind;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::tick;
use crate::traced_orders::{OrderSpans, log, trace};
use crate::worker_state::WorkerState;

/// Runs until stopped; then finishes the batch in progress.
pub(crate) async fn run(state: Arc<WorkerState>, stop: CancellationToken) {
    let Some(mut queue) = stop.run_until_cancelled(open(&state)).await else { return };
    let mut backoff = Backoff::AWAY;
    loop {
        let reading = async {
            state.room().await;
            queue.next(MAX_BATCH).await
        };
        let Some(read) = stop.run_until_cancelled(reading).await else { return };
        match read {
            Ok(entries) => {
                state.set_bus_unreachable(None);
                backoff.reset();
                if !entries.is_empty() {
                    let began = Instant::now();
                    serve(&state, &mut *queue, &entries, &stop).await;
                    stop.run_until_cancelled(tick::gather(began, entries.len())).await;
                }
            }
            Err(error) => {
                state.set_bus_unreachable(Some(&error));
                stop.run_until_cancelled(backoff.wait()).await;
            }
        }
    }
}

async fn open(state: &WorkerState) -> Box<dyn Queue> {
    let mut backoff = Backoff::AWAY;
    loop {
        match state.bus.queue(state.owner).await {
            Ok(queue) => return queue,
            Err(error) => state.set_bus_unreachable(Some(&error)),
        }
        backoff.wait().await;
    }
}

/// Claims the orders of the entries and settles the entries. If it is stopped while the database is
/// unreachable, it leaves the entries pending, and they are delivered again.
async fn serve(
    state: &WorkerState,
    queue: &mut dyn Queue,
    entries: &[Entry],
    stop: &CancellationToken,
) {
    let ids: Vec<OrderId> = entries.iter().map(|entry| entry.order_id).collect();
    let mut backoff = Backoff::AWAY;
    let mut repeated = false;
    let pending = state.bus.begin();
    let recorded = entries.iter();
    let recorded = recorded.filter_map(|entry| Some((entry.order_id, **entry.trace.as_ref()?)));
    let size = (entries.len(), SystemTime::now());
    let mut spans = OrderSpans::begin("claim", &SpanKind::Consumer, recorded, size);
    log("claiming a traced order", &mut spans);
    let claimed = loop {
        match state.claim(ClaimFrom::Entries(&ids)).await {
            Ok(claimed) => break claimed,
            // Repeating does not help. The sweeper tries these orders again, more slowly.
            Err(error) if !error.is_passing() => {
                spans.fail(error.words());
                break Vec::new();
            }
            Err(error) => repeated |= error.is_uncertain(),
        }
        if stop.run_until_cancelled(backoff.wait()).await.is_none() {
            pending.doubt();
            return;
        }
    };
    metrics::counter!(galley_telemetry::ORDERS_CLAIMED, "from" => "queue")
        .increment(claimed.len() as u64);
    let mut updates = WorkerState::updates(&claimed);
    trace(&spans, &mut updates);
    state.traced.prepare(&spans, &claimed);
    drop(spans);
    if let Err(error) = state.arm_behind(queue.settle(entries, &updates), &claimed).await {
        tracing::debug!(%error, "cannot settle entries; they are delivered again and change nothing");
    }
    if repeated {
        state.publish_again(&ids, claimed.iter().map(|claimed| claimed.order.id)).await;
        // The first attempt may still be running: it has locked its orders, and this one left them
        // out.
        pending.doubt();
    }
}
