//! Hears what is published and delivers it to the hub.
//!
//! One task per gateway, from its start to its end. It never waits for a socket. An update goes out
//! at once; when there is so much to send that deliveries would follow each other without a pause,
//! what comes within a tick goes out together. When updates may have been lost, a repair reads them
//! from the database beside the hearing, and delivers them in its turn.
//!
//! Once a second a census shows other processes that this one lives and whether it hears, and tells
//! the subscription who else lives. Its cursor is published as soon as everything before it is.

mod repairs;

use std::sync::Arc;
use std::time::Duration;

use galley_bus::{Heard, SharedBus, Subscription};
use galley_protocol::Update;
use galley_store::{Census, Store, StoreError};
use rand::RngExt as _;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::hearing::Unheard;
use crate::hub::{Hub, TICK};
use crate::metrics;
use crate::state::Readiness;
use repairs::{Repairs, Step};

/// The longest pause between two attempts to subscribe.
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// The time between two censuses.
const CENSUS_EVERY: Duration = Duration::from_secs(1);
/// A delivery of fewer frames is a millisecond's work; the next one follows at once and not a
/// [`TICK`] later.
const MANY_FRAMES: usize = 128;
/// The most updates of one delivery.
const MOST_GATHERED: usize = 4_096;

/// Listens until `stop`.
pub async fn listen(
    bus: SharedBus,
    hub: Hub,
    store: Arc<dyn Store>,
    readiness: Readiness,
    stop: CancellationToken,
) {
    ::metrics::gauge!(metrics::UNHEARD_PUBLISHERS).set(0.0);
    stop.run_until_cancelled(hear(&bus, &hub, &*store, &readiness)).await;
}

async fn hear(bus: &SharedBus, hub: &Hub, store: &dyn Store, readiness: &Readiness) {
    let mut subscription = subscribe(bus, readiness).await;
    let mut counting = Box::pin(count(bus, store, readiness, Instant::now()));
    let mut repairs = Repairs::new(hub, store);
    // When the next updates may go out.
    let mut tick = Instant::now();
    loop {
        tokio::select! {
            (began, counted) = &mut counting => {
                counting.set(count(bus, store, readiness, began + CENSUS_EVERY));
                // The store logs that it cannot be had. Meanwhile nothing is known of the others.
                if let Ok(census) = counted {
                    bus.mark(census.safe);
                    hub.set_clock(census.safe.time);
                    readiness.hearing().count(&census, bus.publisher());
                    subscription.census(&census.living, census.safe, census.next);
                    repairs.count(census.safe);
                }
                note_unheard(&*subscription, readiness);
            }
            step = repairs.next() => match step {
                Step::Due => {
                    subscription.repairing();
                    repairs.begin();
                }
                Step::Read(read) => {
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
                        Heard::Updates(batch) => {
                            let (updates, after) = gather(batch.updates, subscription.as_mut(), tick).await;
                            let began = Instant::now();
                            tick = if hub.deliver(&updates).await < MANY_FRAMES { began } else { began + TICK };
                            next = after;
                        }
                        Heard::Gap { since } => repairs.owe(since),
                        Heard::Safe(safe) => hub.advance(safe),
                    }
                }
            }
        }
    }
}

/// Adds what else is heard until `end`, or is there already; at the bound it waits for the next
/// delivery. Also returns what was heard behind these and is no update.
async fn gather(
    mut updates: Vec<Update>,
    subscription: &mut dyn Subscription,
    end: Instant,
) -> (Vec<Update>, Option<Heard>) {
    while updates.len() < MOST_GATHERED {
        match timeout_at(end, subscription.next()).await {
            Ok(Heard::Updates(batch)) => updates.extend(batch.updates),
            Ok(other) => return (updates, Some(other)),
            Err(_) => break,
        }
    }
    (updates, None)
}

/// Takes a census at a moment. A gateway that is leaving does not count among those that hear.
async fn count(
    bus: &SharedBus,
    store: &dyn Store,
    readiness: &Readiness,
    at: Instant,
) -> (Instant, Result<Census, StoreError>) {
    sleep_until(at).await;
    let (began, hears) = (Instant::now(), bus.hears());
    readiness.hearing().set_answers(hears);
    (began, store.census(bus.publisher(), hears && !readiness.is_draining()).await)
}

fn note_unheard(subscription: &dyn Subscription, readiness: &Readiness) {
    let unheard = subscription.unheard();
    let publishers = unheard.len();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    ::metrics::gauge!(metrics::UNHEARD_PUBLISHERS).set(publishers as f64);
    let since = unheard.iter().map(|unheard| Instant::from_std(unheard.since)).min();
    readiness.hearing().set_unheard(since.map(|since| Unheard { publishers, since }));
}

async fn subscribe(bus: &SharedBus, readiness: &Readiness) -> Box<dyn Subscription> {
    let mut pause = Duration::from_millis(50);
    let mut told = false;
    loop {
        match bus.subscribe().await {
            Ok(subscription) => {
                readiness.hearing().set_subscribed(true);
                return subscription;
            }
            Err(error) => {
                readiness.hearing().set_subscribed(false);
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%error, "cannot hear updates yet");
                }
                let jitter = rand::rng().random_range(0.5..1.0);
                tokio::time::sleep(pause.mul_f64(jitter)).await;
                pause = (pause * 2).min(MAX_PAUSE);
            }
        }
    }
}
