//! Receives the updates of all processes and delivers them to the hub.
//!
//! One task per gateway, from its start to its stop. It never waits for a socket. An update is
//! delivered at once. Under load, when deliveries would follow each other without a pause, the
//! updates of one tick are delivered together. If updates may have been lost, a repair reads them
//! from the database while the subscription continues; its result is delivered between two
//! deliveries of updates.
//!
//! Once a second, a census shows the other processes that this one is alive and whether it receives
//! updates. The subscription gets the list of live publishers from it. The cursor of the census is
//! published once everything before it has been published.

mod repairs;

use std::sync::Arc;
use std::time::Duration;

use galley_bus::{SharedBus, Subscription, SubscriptionEvent};
use galley_protocol::Update;
use galley_store::{Census, Store, StoreError};
use rand::RngExt as _;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::hub::{Hub, TICK};
use crate::metrics;
use crate::operations::Operations;
use crate::state::Readiness;
use crate::subscription_health::UnheardSince;
use repairs::{RepairStep, Repairs};

/// The longest pause between two attempts to subscribe.
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// Interval between two censuses.
const CENSUS_EVERY: Duration = Duration::from_secs(1);
/// Number of frames from which the next delivery waits for a [`TICK`]. Fewer are written in about a
/// millisecond, and the next delivery follows at once.
const MANY_FRAMES: usize = 128;
/// Number of updates at which a delivery is not filled any further.
const MOST_GATHERED: usize = 4_096;

/// Receives and delivers updates until `stop`.
pub async fn listen(
    bus: SharedBus,
    hub: Hub,
    store: Arc<dyn Store>,
    readiness: Readiness,
    operations: Operations,
    stop: CancellationToken,
) {
    ::metrics::gauge!(metrics::UNHEARD_PUBLISHERS).set(0.0);
    stop.run_until_cancelled(receive(&bus, &hub, &*store, &readiness, &operations)).await;
}

async fn receive(
    bus: &SharedBus,
    hub: &Hub,
    store: &dyn Store,
    readiness: &Readiness,
    operations: &Operations,
) {
    let mut subscription = subscribe(bus, readiness).await;
    let mut counting = Box::pin(count(bus, store, readiness, Instant::now()));
    let mut repairs = Repairs::new(hub, store);
    // Updates that arrive before this moment are delivered together.
    let mut tick = Instant::now();
    loop {
        tokio::select! {
            (began, counted) = &mut counting => {
                counting.set(count(bus, store, readiness, began + CENSUS_EVERY));
                // The store logs its outages. Until the next census nothing is known of the others.
                if let Ok(census) = &counted {
                    bus.mark(census.safe);
                    hub.set_clock(census.safe.time);
                    readiness.hearing().count(census, bus.publisher());
                    subscription.census(&census.living, census.safe, census.next);
                    repairs.count(census.safe);
                }
                note_unheard(&*subscription, readiness);
                let health = readiness.hearing();
                let census = counted.as_ref().ok();
                bus.report_gateway(operations.count(census, subscription.as_mut(), health, hub));
            }
            step = repairs.next() => match step {
                RepairStep::Due => {
                    // Before the read: a gap that is found from here on needs another repair.
                    subscription.repairing();
                    repairs.begin();
                }
                RepairStep::Read(read) => {
                    let outcome = match read {
                        Ok(repair) => {
                            hub.deliver_repair(repair).await;
                            Ok(())
                        }
                        Err(error) => Err(error),
                    };
                    if let Some(safe) = repairs.end(outcome) {
                        subscription.repaired(safe);
                    }
                }
            },
            event = subscription.next() => {
                let mut next = Some(event);
                while let Some(event) = next.take() {
                    match event {
                        SubscriptionEvent::Updates(batch) => {
                            let (updates, after) = gather(batch.updates, subscription.as_mut(), tick).await;
                            operations.note(&updates);
                            let began = Instant::now();
                            tick = if hub.deliver(&updates).await < MANY_FRAMES { began } else { began + TICK };
                            next = after;
                        }
                        SubscriptionEvent::Gap { since } => repairs.owe(since),
                        SubscriptionEvent::Safe(safe) => hub.advance(safe),
                        SubscriptionEvent::MenuChanged => hub.note_menu_change(),
                    }
                }
            }
        }
    }
}

/// Adds the updates that arrive until `end` or are here already, unless there are
/// [`MOST_GATHERED`]. Also returns the event that ended the batch, if it was not an update.
async fn gather(
    mut updates: Vec<Update>,
    subscription: &mut dyn Subscription,
    end: Instant,
) -> (Vec<Update>, Option<SubscriptionEvent>) {
    while updates.len() < MOST_GATHERED {
        match timeout_at(end, subscription.next()).await {
            Ok(SubscriptionEvent::Updates(batch)) => updates.extend(batch.updates),
            Ok(other) => return (updates, Some(other)),
            Err(_) => break,
        }
    }
    (updates, None)
}

/// Takes a census at the given moment. A gateway that is leaving does not count as a receiver.
async fn count(
    bus: &SharedBus,
    store: &dyn Store,
    readiness: &Readiness,
    at: Instant,
) -> (Instant, Result<Census, StoreError>) {
    sleep_until(at).await;
    let (began, receiving) = (Instant::now(), bus.is_receiving());
    readiness.hearing().set_answers(receiving);
    (began, store.census(bus.publisher(), receiving && !readiness.is_draining()).await)
}

fn note_unheard(subscription: &dyn Subscription, readiness: &Readiness) {
    let unheard = subscription.unheard();
    let publishers = unheard.len();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    ::metrics::gauge!(metrics::UNHEARD_PUBLISHERS).set(publishers as f64);
    let since = unheard.iter().map(|unheard| Instant::from_std(unheard.since)).min();
    readiness.hearing().set_unheard(since.map(|since| UnheardSince { publishers, since }));
}

async fn subscribe(bus: &SharedBus, readiness: &Readiness) -> Box<dyn Subscription> {
    let mut pause = Duration::from_millis(50);
    let mut logged = false;
    loop {
        match bus.subscribe().await {
            Ok(subscription) => {
                readiness.hearing().set_subscribed(true);
                return subscription;
            }
            Err(error) => {
                readiness.hearing().set_subscribed(false);
                if !std::mem::replace(&mut logged, true) {
                    tracing::warn!(%error, "cannot subscribe to updates yet");
                }
                let jitter = rand::rng().random_range(0.5..1.0);
                tokio::time::sleep(pause.mul_f64(jitter)).await;
                pause = (pause * 2).min(MAX_PAUSE);
            }
        }
    }
}
