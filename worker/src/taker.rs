//! Reads the dispatch queue and claims the orders in it.
//!
//! One task. It settles an entry only after the claim has committed, and then at once. The pending
//! list therefore stays short, and no other worker claims an entry that is only waiting. It claims
//! nothing while there is no room.

use std::sync::Arc;

use galley_bus::{Backoff, Entry, Queue};
use galley_protocol::OrderId;
use galley_store::{ClaimFrom, MAX_BATCH};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::kitchen::Kitchen;
use crate::tick;

/// Runs until stopped; then finishes the batch in progress.
pub(crate) async fn run(kitchen: Arc<Kitchen>, stop: CancellationToken) {
    let Some(mut queue) = stop.run_until_cancelled(open(&kitchen)).await else { return };
    let mut backoff = Backoff::AWAY;
    loop {
        let reading = async {
            kitchen.room().await;
            queue.next(MAX_BATCH).await
        };
        let Some(read) = stop.run_until_cancelled(reading).await else { return };
        match read {
            Ok(entries) => {
                kitchen.set_bus_away(None);
                backoff.reset();
                if !entries.is_empty() {
                    let began = Instant::now();
                    serve(&kitchen, &mut *queue, &entries, &stop).await;
                    stop.run_until_cancelled(tick::gather(began, entries.len())).await;
                }
            }
            Err(error) => {
                kitchen.set_bus_away(Some(&error));
                stop.run_until_cancelled(backoff.wait()).await;
            }
        }
    }
}

async fn open(kitchen: &Kitchen) -> Box<dyn Queue> {
    let mut backoff = Backoff::AWAY;
    loop {
        match kitchen.bus.queue(kitchen.owner).await {
            Ok(queue) => return queue,
            Err(error) => kitchen.set_bus_away(Some(&error)),
        }
        backoff.wait().await;
    }
}

/// Claims the orders of the entries and settles the entries. If it is stopped while the database is
/// unreachable, it leaves the entries pending, and they are delivered again.
async fn serve(
    kitchen: &Kitchen,
    queue: &mut dyn Queue,
    entries: &[Entry],
    stop: &CancellationToken,
) {
    let ids: Vec<OrderId> = entries.iter().map(|entry| entry.order_id).collect();
    let mut backoff = Backoff::AWAY;
    let mut repeated = false;
    let pending = kitchen.bus.begin();
    let claimed = loop {
        match kitchen.claim(ClaimFrom::Entries(&ids)).await {
            Ok(claimed) => break claimed,
            // Repeating does not help. The sweeper tries these orders again, more slowly.
            Err(error) if !error.is_passing() => break Vec::new(),
            Err(error) => repeated |= error.is_uncertain(),
        }
        if stop.run_until_cancelled(backoff.wait()).await.is_none() {
            pending.doubt();
            return;
        }
    };
    metrics::counter!("galley_orders_claimed_total", "from" => "queue")
        .increment(claimed.len() as u64);
    if let Err(error) =
        kitchen.arm_behind(queue.settle(entries, &Kitchen::updates(&claimed)), &claimed).await
    {
        tracing::debug!(%error, "entries were not settled; they come back and find nothing to do");
    }
    if repeated {
        kitchen.tell_again(&ids, claimed.iter().map(|claimed| claimed.order.id)).await;
        // The first attempt may still be running: it has locked its orders, and this one left them
        // out.
        pending.doubt();
    }
}
