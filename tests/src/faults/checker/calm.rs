//! The rule that everything is idle soon after the last fault.

use std::time::Duration;

use super::{Breaches, Case, CheckedRule};
use crate::faults::record::RecordedEvent;

pub(super) fn check(case: &Case<'_>, rest: Duration, violations: &mut Breaches) {
    let time = |wanted: fn(&RecordedEvent) -> bool| {
        let found = case.entries.iter().rev().find(|entry| wanted(&entry.event));
        found.map(|entry| Duration::from_micros(entry.at_us))
    };
    let mended = time(|event| matches!(event, RecordedEvent::Mended));
    match (mended, time(|event| matches!(event, RecordedEvent::Quiet))) {
        (Some(mended), Some(quiet)) => {
            let took = quiet.saturating_sub(mended);
            if took > rest {
                violations.add(
                    CheckedRule::ComesToRest,
                    format!("quiet {took:?} after the last fault, not within {rest:?}"),
                );
            }
        }
        (None, _) | (_, None) => {
            violations.add(CheckedRule::ComesToRest, "it never became quiet".to_owned());
        }
    }
    for order in case.stored.values().filter(|order| order.is_open()) {
        violations.add(
            CheckedRule::ComesToRest,
            format!("order {} is {} in the end", order.id, order.status()),
        );
    }
}
