//! The rules of cancelling and deleting: an order stays cancelled or deleted, and every refusal has
//! a reason.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{Breaches, Case, CheckedRule};
use crate::faults::record::Deed;
use crate::faults::sighting::sightings;

pub(super) fn check(case: &Case<'_>, violations: &mut Breaches) {
    let completed = completed(case);
    for request in &case.requests {
        match (request.deed, request.told()) {
            (Deed::Cancel(order) | Deed::End(order), Some((200, body))) => {
                cancelled(case, *order, body, &completed, violations);
            }
            (Deed::End(order) | Deed::Delete(order), Some((200 | 204, _))) => {
                deleted(case, *order, violations);
            }
            (Deed::Cancel(_) | Deed::Delete(_), Some((409, body))) => {
                refused(request.deed, body, violations);
            }
            _ => {}
        }
    }
    not_found(case, violations);
}

/// The orders that any client saw completed.
fn completed(case: &Case<'_>) -> HashSet<i64> {
    let shown = case.entries.iter().filter_map(|entry| entry.event.shown());
    let seen = shown
        .flat_map(sightings)
        .filter(|seen| seen.status() == "COMPLETED")
        .map(|seen| seen.order);
    seen.collect()
}

fn cancelled(
    case: &Case<'_>,
    order: i64,
    body: &Value,
    completed: &HashSet<i64>,
    violations: &mut Breaches,
) {
    let told = sightings(body);
    if !matches!(&told[..], [told] if told.order == order && told.status() == "CANCELLED") {
        violations.add(
            CheckedRule::EffectKept,
            format!("the answer to the cancel of order {order} does not show it cancelled: {body}"),
        );
    }
    let stored = case.stored.get(&order).map(|stored| stored.status());
    if stored == Some("COMPLETED") || completed.contains(&order) {
        violations
            .add(CheckedRule::CancelWins, format!("order {order} was cancelled and completed"));
    } else if stored != Some("CANCELLED") {
        violations
            .add(CheckedRule::EffectKept, format!("order {order} was cancelled and is {stored:?}"));
    }
}

fn deleted(case: &Case<'_>, order: i64, violations: &mut Breaches) {
    if case.stored.get(&order).is_some_and(|stored| !stored.deleted) {
        violations.add(CheckedRule::EffectKept, format!("order {order} was deleted and is there"));
    }
}

/// Checks a refusal: a cancel that came too late shows an ended order, a delete that came too early
/// an open one.
fn refused(deed: &Deed, body: &Value, violations: &mut Breaches) {
    let ended = matches!(deed, Deed::Cancel(_));
    let told = sightings(body);
    let fits =
        matches!(&told[..], [told] if matches!(told.status(), "COMPLETED" | "CANCELLED") == ended);
    if !fits {
        violations
            .add(CheckedRule::Truthful, format!("{deed:?} was refused without a reason: {body}"));
    }
}

/// Checks that an order is only missing if an earlier request deleted it.
fn not_found(case: &Case<'_>, violations: &mut Breaches) {
    let mut deletions: HashMap<i64, Vec<usize>> = HashMap::new();
    for request in &case.requests {
        if let Deed::End(order) | Deed::Delete(order) = request.deed {
            deletions.entry(*order).or_default().push(request.asked);
        }
    }
    for request in &case.requests {
        let (
            Deed::Cancel(order) | Deed::End(order) | Deed::Delete(order) | Deed::Get(order),
            Some((404, _)),
        ) = (request.deed, request.told())
        else {
            continue;
        };
        let answered = request.answered.map_or(usize::MAX, |(at, _)| at);
        let others =
            deletions.get(order).into_iter().flatten().filter(|asked| **asked != request.asked);
        let is_gone = case.stored.get(order).is_none_or(|stored| stored.deleted);
        if !is_gone || others.min().is_none_or(|asked| *asked > answered) {
            violations.add(
                CheckedRule::Truthful,
                format!("{:?} did not find the order, and nobody had deleted it", request.deed),
            );
        }
    }
}
