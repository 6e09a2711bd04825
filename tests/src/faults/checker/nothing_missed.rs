//! The rules that a listener receives every change, and only those of its own hero.

use std::collections::HashMap;

use super::{Breaches, Case, CheckedRule};
use crate::faults::known_orders::KnownOrders;
use crate::faults::record::RecordedEvent;
use crate::faults::sighting::sightings;

pub(super) fn check(case: &Case<'_>, violations: &mut Breaches) {
    let mut pictures: HashMap<usize, (i64, KnownOrders)> = HashMap::new();
    let mut resuming: HashMap<usize, bool> = HashMap::new();
    for entry in case.entries {
        if let RecordedEvent::Opening { listener, hero: Some(hero), cursor, .. } = &entry.event {
            pictures.entry(*listener).or_insert_with(|| (*hero, KnownOrders::default()));
            resuming.insert(*listener, cursor.is_some());
        } else if let RecordedEvent::Heard { listener, frame } = &entry.event {
            let Some((hero, picture)) = pictures.get_mut(listener) else { continue };
            picture.take(frame);
            if frame["type"] == "welcome" {
                let expected = if resuming[listener] { "resumed" } else { "fresh" };
                if frame["resume"] != expected {
                    violations.add(
                        CheckedRule::Resumes,
                        format!("listener {listener} was to be {expected}: {frame}"),
                    );
                }
            }
            for seen in sightings(frame) {
                let others = seen
                    .state
                    .as_ref()
                    .and_then(|state| state["hero_id"].as_i64())
                    .is_some_and(|of| of != *hero);
                if others || case.stored.get(&seen.order).is_some_and(|stored| stored.hero != *hero)
                {
                    violations.add(
                        CheckedRule::Committed,
                        format!("listener {listener} was shown order {} of another", seen.order),
                    );
                }
            }
        } else if let RecordedEvent::Lost { listener, why } = &entry.event {
            // It receives nothing from now on; this is reported once.
            pictures.remove(listener);
            violations.add(
                CheckedRule::NobodyLost,
                format!("listener {listener} is a browser, and will not come back: {why}"),
            );
        }
    }

    for (listener, (hero, picture)) in pictures {
        for difference in picture.differences(&case.stored_of(hero)) {
            violations
                .add(CheckedRule::NothingMissed, format!("listener {listener}: {difference}"));
        }
    }
}
