//! The rules of the states of an order: all clients see one life cycle, the one in the database.

use std::collections::HashMap;

use galley_protocol::{Reason, Status, Transition};
use serde_json::Value;

use super::{Breaches, Case, CheckedRule};
use crate::faults::record::{Deed, RecordedEvent};
use crate::faults::sighting::{Sighting, sightings};
use crate::faults::stored::StoredOrder;

pub(super) fn check(case: &Case<'_>, violations: &mut Breaches) {
    let mut lives: HashMap<i64, OrderLife> = HashMap::new();
    for entry in case.entries {
        for seen in entry.event.shown().into_iter().flat_map(sightings) {
            lives.entry(seen.order).or_default().take(seen, violations);
        }
    }
    for (order, life) in &lives {
        match case.stored.get(order) {
            Some(stored) => against_stored(life, stored, violations),
            None => violations
                .add(CheckedRule::Committed, format!("order {order} was shown and does not exist")),
        }
    }
    for stored in case.stored.values() {
        let mut life = lives.remove(&stored.id).unwrap_or_default();
        let known = life.0.contains_key(&stored.newest().version);
        if !known {
            life.take(stored.newest(), violations);
        }
        steps(stored.id, &life, violations);
        if stored.meal == case.scene.forbidden && stored.status() == "COMPLETED" {
            violations.add(
                CheckedRule::Allergy,
                format!("order {} of a forbidden meal is completed", stored.id),
            );
        }
    }
    no_way_back(case, violations);
}

/// The states of one order, by version.
#[derive(Default)]
struct OrderLife(HashMap<i64, Option<Value>>);

impl OrderLife {
    fn take(&mut self, seen: Sighting, violations: &mut Breaches) {
        let Sighting { order, version, state } = seen;
        let first = self.0.entry(version).or_insert_with(|| state.clone());
        if *first != state {
            let what = format!(
                "version {version} of order {order} was shown as {first:?} and as {state:?}"
            );
            violations.add(CheckedRule::OneState, what);
        }
    }
}

fn against_stored(life: &OrderLife, stored: &StoredOrder, violations: &mut Breaches) {
    let id = stored.id;
    let newest = stored.newest();
    for (version, state) in &life.0 {
        let last = (*version == stored.version()).then(|| Some(stored.state.clone()));
        let now = (*version == newest.version).then(|| newest.state.clone());
        if *version > newest.version {
            violations.add(
                CheckedRule::Committed,
                format!("version {version} of order {id} was shown, the database has {newest:?}"),
            );
        } else if now.or(last).is_some_and(|told| told != *state) {
            violations.add(
                CheckedRule::OneState,
                format!(
                    "version {version} of order {id} was shown as {state:?}, and is {stored:?}"
                ),
            );
        }
    }
}

/// Checks the steps: version 1 is PENDING, each further one is a step of the life cycle, and one
/// more at the end is the deletion. The unseen versions must fit between their neighbours.
fn steps(id: i64, life: &OrderLife, violations: &mut Breaches) {
    let mut versions: Vec<(&i64, &Option<Value>)> = life.0.iter().collect();
    versions.sort_unstable_by_key(|(version, _)| **version);
    let mut possible = vec![None];
    let mut at = 0;
    for (version, state) in versions {
        while at < *version && !possible.is_empty() {
            at += 1;
            possible = possible.into_iter().flat_map(next).collect();
        }
        let is = as_stage(state.as_ref());
        possible.retain(|stage| at == *version && Some(*stage) == is.map(Some));
        if possible.is_empty() {
            violations.add(
                CheckedRule::LifeCycle,
                format!("order {id} cannot have version {version} as {state:?}: {:?}", life.0),
            );
            return;
        }
    }
}

/// The stage of an order, up to its deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OrderStage {
    Is(Status, Option<Reason>),
    Deleted,
}

/// Returns the possible next stages; `None` is the stage before the first version.
fn next(stage: Option<OrderStage>) -> Vec<Option<OrderStage>> {
    match stage {
        None => vec![Some(OrderStage::Is(Status::Pending, None))],
        Some(OrderStage::Is(status, _)) if status.is_active() => Transition::all()
            .filter_map(|step| {
                let reason =
                    if let Transition::Cancel(reason) = step { Some(reason) } else { None };
                status.step(step).map(|status| Some(OrderStage::Is(status, reason)))
            })
            .collect(),
        Some(OrderStage::Is(..)) => vec![Some(OrderStage::Deleted)],
        Some(OrderStage::Deleted) => Vec::new(),
    }
}

fn as_stage(state: Option<&Value>) -> Option<OrderStage> {
    let Some(state) = state else { return Some(OrderStage::Deleted) };
    let status = serde_json::from_value(state["status"].clone()).ok()?;
    let reason = serde_json::from_value(state["reason"].clone()).ok()?;
    Some(OrderStage::Is(status, reason))
}

/// Checks that a read shows at least every version that any client saw before it began. A welcome
/// is a read.
fn no_way_back(case: &Case<'_>, violations: &mut Breaches) {
    let mut newest: HashMap<i64, i64> = HashMap::new();
    // The versions known when a read began, by the number of the request or of the listener.
    let mut reads: HashMap<usize, HashMap<i64, i64>> = HashMap::new();
    let mut openings: HashMap<usize, HashMap<i64, i64>> = HashMap::new();
    for entry in case.entries {
        if let RecordedEvent::Asked { request, deed: Deed::Get(_) | Deed::List, .. } = &entry.event
        {
            reads.insert(*request, newest.clone());
        }
        if let RecordedEvent::Opening { listener, .. } = &entry.event {
            openings.insert(*listener, newest.clone());
        }
        let known = if let RecordedEvent::Answered { request, .. } = &entry.event {
            reads.remove(request)
        } else if let RecordedEvent::Heard { listener, frame } = &entry.event
            && frame["type"] == "welcome"
        {
            openings.remove(listener)
        } else {
            None
        };
        for seen in entry.event.shown().into_iter().flat_map(sightings) {
            if let Some(before) = known
                .as_ref()
                .and_then(|known| known.get(&seen.order))
                .filter(|before| **before > seen.version)
            {
                let what = format!(
                    "order {} was read in version {} after somebody saw {before}",
                    seen.order, seen.version
                );
                violations.add(CheckedRule::NoWayBack, what);
            }
            let known = newest.entry(seen.order).or_default();
            *known = seen.version.max(*known);
        }
    }
}
