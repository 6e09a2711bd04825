//! The rule that a connected client receives a change soon after its commit.

use std::collections::HashMap;
use std::time::Duration;

use super::hindrances::Hindrances;
use super::{Breaches, Case, CheckedRule};
use crate::faults::record::RecordedEvent;
use crate::faults::sighting::sightings;

/// The violations that are reported for one listener; further ones are left out.
const MAX_TOLD: usize = 3;

/// A listener with its connections, and the versions that it was shown.
#[derive(Default)]
struct ListenerHistory {
    /// The hero; `None` for staff.
    hero: Option<i64>,
    connections: Vec<OpenTime>,
    /// For each order the versions that were shown, with their times.
    shown: HashMap<i64, Vec<(u64, i64)>>,
}

/// A connection, from its first frame on; for staff from the beginning of the watch.
struct OpenTime {
    gateway: usize,
    from: Option<u64>,
    until: u64,
}

/// A version that the database had at one reading, and not at the one before.
struct SeenChange {
    order: i64,
    version: i64,
    since_us: u64,
    seen_us: u64,
}

pub(super) fn check(case: &Case<'_>, limit: Duration, violations: &mut Breaches) {
    let hindrances = Hindrances::of(case);
    let (audiences, changes) = read(case);
    for (listener, audience) in &audiences {
        let late = changes.iter().filter_map(|change| {
            let stored = case.stored.get(&change.order)?;
            let is_owed = audience.hero.is_none_or(|hero| hero == stored.hero);
            is_owed
                .then(|| audience.lateness(change, &hindrances, limit))
                .flatten()
                .map(|late| (change, late))
        });
        for (SeenChange { order, version, seen_us, .. }, late) in late.take(MAX_TOLD) {
            let what =
                format!("version {version} of order {order}, which was there at {seen_us} us");
            violations.add(
                CheckedRule::InTime,
                format!("listener {listener} was not told {what}, for {late:?}"),
            );
        }
    }
}

impl ListenerHistory {
    /// The time for which a connection did not receive a change; `None` if it is short enough.
    fn lateness(
        &self,
        change: &SeenChange,
        hindrances: &Hindrances,
        limit: Duration,
    ) -> Option<Duration> {
        let shown = self.shown.get(&change.order).into_iter().flatten();
        let told = shown.filter(|(_, version)| *version >= change.version).map(|(at, _)| *at).min();
        let told = told.unwrap_or(u64::MAX);
        self.connections.iter().find_map(|connection| {
            let from = connection.from?;
            // A watch that is not resumed need not send earlier changes.
            if self.hero.is_none() && from > change.since_us {
                return None;
            }
            let (from, until) = (from.max(change.seen_us), connection.until.min(told));
            let calm = hindrances.longest_calm(connection.gateway, from, until);
            (from < until && calm > limit).then_some(calm)
        })
    }
}

fn read(case: &Case<'_>) -> (HashMap<usize, ListenerHistory>, Vec<SeenChange>) {
    let (mut audiences, mut changes): (HashMap<usize, ListenerHistory>, _) =
        (HashMap::new(), Vec::new());
    let end = case.entries.last().map_or(0, |entry| entry.at_us);
    for entry in case.entries {
        match &entry.event {
            RecordedEvent::Opening { listener, hero, gateway, .. } => {
                let audience = audiences.entry(*listener).or_default();
                audience.hero = *hero;
                audience.connections.push(OpenTime { gateway: *gateway, from: None, until: end });
            }
            RecordedEvent::Heard { listener, frame } => {
                let Some(audience) = audiences.get_mut(listener) else { continue };
                let begins =
                    audience.hero.is_some() || frame["watching"] == true || frame["type"] == "feed";
                if let Some(connection) = audience.connections.last_mut().filter(|_| begins) {
                    connection.from.get_or_insert(entry.at_us);
                }
                if frame["type"] == "reply" || frame["type"] == "error" {
                    continue;
                }
                for seen in sightings(frame) {
                    audience.shown.entry(seen.order).or_default().push((entry.at_us, seen.version));
                }
            }
            RecordedEvent::Ended { listener, .. } | RecordedEvent::Lost { listener, .. } => {
                let connection = audiences
                    .get_mut(listener)
                    .and_then(|audience| audience.connections.last_mut());
                if let Some(connection) = connection {
                    connection.until = entry.at_us;
                }
            }
            RecordedEvent::Changed { since_us, orders } => {
                let change = |(order, version): &(i64, i64)| SeenChange {
                    order: *order,
                    version: *version,
                    since_us: *since_us,
                    seen_us: entry.at_us,
                };
                changes.extend(orders.iter().map(change));
            }
            RecordedEvent::Scene(_)
            | RecordedEvent::Asked { .. }
            | RecordedEvent::Answered { .. }
            | RecordedEvent::Fault { .. }
            | RecordedEvent::Done { .. }
            | RecordedEvent::Mended
            | RecordedEvent::Quiet => {}
        }
    }
    (audiences, changes)
}
