//! The rules that a listener receives every change, and only those of its own hero.

use std::collections::HashMap;

use super::{Case, Rule, Violations};
use crate::faults::picture::Picture;
use crate::faults::record::Event;
use crate::faults::sighting::sightings;

pub(super) fn check(case: &Case<'_>, violations: &mut Violations) {
    let mut pictures: HashMap<usize, (i64, Picture)> = HashMap::new();
    let mut resuming: HashMap<usize, bool> = HashMap::new();
    for entry in case.entries {
        match &entry.event {
            Event::Opening { listener, hero: Some(hero), cursor, .. } => {
                pictures.entry(*listener).or_insert_with(|| (*hero, Picture::default()));
                resuming.insert(*listener, cursor.is_some());
            }
            Event::Heard { listener, frame } => {
                let Some((hero, picture)) = pictures.get_mut(listener) else { continue };
                picture.take(frame);
                if frame["type"] == "welcome" {
                    let expected = if resuming[listener] { "resumed" } else { "fresh" };
                    if frame["resume"] != expected {
                        violations.add(
                            Rule::Resumes,
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
                    if others
                        || case.stored.get(&seen.order).is_some_and(|stored| stored.hero != *hero)
                    {
                        violations.add(
                            Rule::Committed,
                            format!(
                                "listener {listener} was shown order {} of another",
                                seen.order
                            ),
                        );
                    }
                }
            }
            // It receives nothing from now on; this is reported once.
            Event::Lost { listener, why } => {
                pictures.remove(listener);
                violations.add(
                    Rule::NobodyLost,
                    format!("listener {listener} is a browser, and will not come back: {why}"),
                );
            }
            Event::Scene(_)
            | Event::Opening { hero: None, .. }
            | Event::Asked { .. }
            | Event::Answered { .. }
            | Event::Ended { .. }
            | Event::Changed { .. }
            | Event::Fault { .. }
            | Event::Done { .. }
            | Event::Mended
            | Event::Quiet => {}
        }
    }
    for (listener, (hero, picture)) in pictures {
        for difference in picture.differences(&case.stored_of(hero)) {
            violations.add(Rule::NothingMissed, format!("listener {listener}: {difference}"));
        }
    }
}
