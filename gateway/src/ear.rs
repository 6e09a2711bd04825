//! Hears what is published and delivers it to the hub.
//!
//! One task per gateway, from its start to its end. It never waits for a socket. An update goes out at once; when there is so much to
//! send that deliveries would follow each other without a pause, what comes within a tick goes out together. When updates may have
//! been lost, every socket of a hero is told to read the database since the last update that was heard: at once, but at most once a
//! second, so that a bus that breaks again and again costs the database a bounded number of reads.

use std::time::Duration;

use galley_bus::{Heard, SharedBus, Subscription};
use galley_protocol::{ResumeCursor, Update};
use rand::RngExt as _;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::hub::{Hub, TICK};
use crate::state::Readiness;

/// The longest pause between two attempts to subscribe.
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// The least time between two repairs.
const REPAIR_EVERY: Duration = Duration::from_secs(1);
/// A delivery of fewer frames is a millisecond's work; the next one follows at once and not a [`TICK`] later.
const MANY_FRAMES: usize = 128;
/// The most updates of one delivery.
const MOST_GATHERED: usize = 4_096;

/// Listens until `stop`.
pub async fn listen(bus: SharedBus, hub: Hub, readiness: Readiness, stop: CancellationToken) {
    stop.run_until_cancelled(async {
        let mut subscription = subscribe(&bus, &readiness).await;
        // Sockets that joined before the subscription heard nothing yet.
        let mut missing = Some(Missing { since: None, repair_at: Instant::now() });
        let mut repaired = Instant::now();
        // When the next updates may go out.
        let mut tick = repaired;
        loop {
            tokio::select! {
                () = moment_of(missing.as_ref()), if missing.is_some() => {
                    hub.repair(missing.take().and_then(|missing| missing.since));
                    repaired = Instant::now();
                }
                event = subscription.next() => match event {
                    Heard::Updates(batch) => {
                        let (updates, gap) = gather(batch.updates, subscription.as_mut(), tick).await;
                        let began = Instant::now();
                        tick = if hub.deliver(&updates).await < MANY_FRAMES { began } else { began + TICK };
                        if gap {
                            missing.get_or_insert_with(|| lost(repaired));
                        }
                    }
                    Heard::Gap { .. } => {
                        missing.get_or_insert_with(|| lost(repaired));
                    }
                    Heard::Safe(_) => {}
                },
            }
        }
    })
    .await;
}

/// Adds what else is heard until `end`, or is there already; at the bound it waits for the next delivery. Says whether updates were
/// lost behind these.
async fn gather(mut updates: Vec<Update>, subscription: &mut dyn Subscription, end: Instant) -> (Vec<Update>, bool) {
    while updates.len() < MOST_GATHERED {
        match timeout_at(end, subscription.next()).await {
            Ok(Heard::Updates(batch)) => updates.extend(batch.updates),
            Ok(Heard::Gap { .. }) => return (updates, true),
            Ok(Heard::Safe(_)) => {}
            Err(_) => break,
        }
    }
    (updates, false)
}

fn lost(repaired: Instant) -> Missing {
    tracing::warn!("updates may have been lost; reading them from the database");
    Missing { since: None, repair_at: repaired + REPAIR_EVERY }
}

/// Updates may have been lost.
struct Missing {
    /// The last one that was heard before.
    since: Option<ResumeCursor>,
    repair_at: Instant,
}

async fn moment_of(missing: Option<&Missing>) {
    if let Some(missing) = missing {
        tokio::time::sleep_until(missing.repair_at).await;
    }
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
