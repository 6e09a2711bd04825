//! The rule that everything is idle soon after the last fault.

use std::time::Duration;

use super::{Case, Rule, Violations};
use crate::faults::record::Event;

pub(super) fn check(case: &Case<'_>, rest: Duration, violations: &mut Violations) {
    let time = |wanted: fn(&Event) -> bool| {
        let found = case.entries.iter().rev().find(|entry| wanted(&entry.event));
        found.map(|entry| Duration::from_micros(entry.at_us))
    };
    let mended = time(|event| matches!(event, Event::Mended));
    match (mended, time(|event| matches!(event, Event::Quiet))) {
        (Some(mended), Some(quiet)) => {
            let took = quiet.saturating_sub(mended);
            if took > rest {
                violations.add(
                    Rule::ComesToRest,
                    format!("quiet {took:?} after the last fault, not within {rest:?}"),
                );
            }
        }
        (None, _) | (_, None) => {
            violations.add(Rule::ComesToRest, "it never became quiet".to_owned());
        }
    }
    for order in case.stored.values().filter(|order| order.is_open()) {
        violations
            .add(Rule::ComesToRest, format!("order {} is {} in the end", order.id, order.status()));
    }
}
