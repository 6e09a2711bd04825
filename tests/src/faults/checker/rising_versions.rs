//! The rule that a connection shows the versions of an order in ascending order.

use std::collections::HashMap;

use super::{Breaches, Case, CheckedRule};
use crate::faults::record::RecordedEvent;
use crate::faults::sighting::sightings;

/// The pushed frames. Answers to commands do not count, because a read may be older than the
/// updates that were pushed meanwhile.
const PUSHED: [&str; 5] = ["welcome", "order", "deleted", "resync", "feed"];

pub(super) fn check(case: &Case<'_>, violations: &mut Breaches) {
    let mut shown: HashMap<usize, HashMap<i64, i64>> = HashMap::new();
    for entry in case.entries {
        if let RecordedEvent::Opening { listener, .. } = &entry.event {
            shown.remove(listener);
        }
        let RecordedEvent::Heard { listener, frame } = &entry.event else { continue };
        if !frame["type"].as_str().is_some_and(|kind| PUSHED.contains(&kind)) {
            continue;
        }
        let shown = shown.entry(*listener).or_default();
        for seen in sightings(frame) {
            let newest = shown.entry(seen.order).or_insert(seen.version);
            if *newest > seen.version {
                let what =
                    format!("version {} of order {} after {newest}", seen.version, seen.order);
                violations.add(
                    CheckedRule::InOrder,
                    format!("listener {listener} was shown {what}: {frame}"),
                );
            }
            *newest = seen.version.max(*newest);
        }
    }
}
