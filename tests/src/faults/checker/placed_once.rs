//! The rules of placing: an accepted order exists once, and every order was requested.

use std::collections::HashMap;

use super::{Breaches, Case, CheckedRule};
use crate::faults::record::Deed;

/// The placement of an order: its key, or the index of its request if it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin<'a> {
    Key(&'a str),
    Request(usize),
}

pub(super) fn check(case: &Case<'_>, violations: &mut Breaches) {
    accepted(case, violations);
    asked_for(case, violations);
}

fn accepted(case: &Case<'_>, violations: &mut Breaches) {
    let mut by_order: HashMap<i64, Origin<'_>> = HashMap::new();
    let mut by_key: HashMap<&str, i64> = HashMap::new();
    for request in &case.requests {
        let (Some(order), Deed::Place { meal, key }) = (request.placed(), request.deed) else {
            continue;
        };
        match case.stored.get(&order) {
            None => violations.add(
                CheckedRule::Durable,
                format!("order {order} was accepted and does not exist"),
            ),
            Some(stored)
                if stored.hero != request.hero || stored.meal != *meal || stored.key != *key =>
            {
                violations.add(
                    CheckedRule::Durable,
                    format!("order {order} is not what was asked for: {stored:?}"),
                );
            }
            Some(_) => {}
        }
        let origin = key.as_deref().map_or(Origin::Request(request.asked), Origin::Key);
        let first = *by_order.entry(order).or_insert(origin);
        if first != origin {
            violations.add(
                CheckedRule::PlacedOnce,
                format!("order {order} answers both {first:?} and {origin:?}"),
            );
        }
        if let Origin::Key(key) = origin {
            let first = *by_key.entry(key).or_insert(order);
            if first != order {
                violations.add(
                    CheckedRule::PlacedOnce,
                    format!("key {key} placed order {first} and order {order}"),
                );
            }
        }
    }
}

/// Checks that every order was requested. A request without an answer may have placed one order, or
/// none.
fn asked_for(case: &Case<'_>, violations: &mut Breaches) {
    let mut keys: HashMap<&str, usize> = HashMap::new();
    let mut keyless: HashMap<(i64, i64), usize> = HashMap::new();
    for request in &case.requests {
        match request.deed {
            Deed::Place { key: Some(key), .. } => drop(keys.insert(key, 0)),
            Deed::Place { key: None, meal } => {
                *keyless.entry((request.hero, *meal)).or_default() += 1;
            }
            Deed::Cancel(_) | Deed::End(_) | Deed::Delete(_) | Deed::Get(_) | Deed::List => {}
        }
    }
    let refused =
        case.requests.iter().filter(|request| matches!(request.told(), Some((400..=499, _))));
    for request in refused {
        if let Deed::Place { key: None, meal } = request.deed {
            *keyless.entry((request.hero, *meal)).or_default() -= 1;
        }
    }
    for order in case.stored.values() {
        match &order.key {
            Some(key) => match keys.get_mut(key.as_str()) {
                Some(count) => {
                    *count += 1;
                    if *count > 1 {
                        violations.add(
                            CheckedRule::PlacedOnce,
                            format!("key {key} has {count} orders, one of them {}", order.id),
                        );
                    }
                }
                None => violations.add(
                    CheckedRule::PlacedOnce,
                    format!("nobody asked for order {} with key {key}", order.id),
                ),
            },
            None => match keyless.get_mut(&(order.hero, order.meal)) {
                Some(count @ 1..) => *count -= 1,
                Some(0) | None => {
                    violations.add(
                        CheckedRule::PlacedOnce,
                        format!(
                            "hero {} did not ask for as many as order {}",
                            order.hero, order.id
                        ),
                    );
                }
            },
        }
    }
}
