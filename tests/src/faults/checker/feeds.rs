//! The rule that a watcher of the staff feed receives every change meanwhile.

use std::collections::HashMap;

use super::{Case, Rule, Violations};
use crate::faults::feed_view::FeedView;
use crate::faults::record::Event;

pub(super) fn check(case: &Case<'_>, violations: &mut Violations) {
    let mut views: HashMap<usize, FeedView> = HashMap::new();
    let mut changes: HashMap<i64, (i64, u64)> = HashMap::new();
    for entry in case.entries {
        match &entry.event {
            Event::Opening { listener, hero: None, .. } => {
                views.entry(*listener).or_default().open();
            }
            Event::Heard { listener, frame } => {
                views.get_mut(listener).into_iter().for_each(|view| view.take(frame, entry.at_us));
            }
            Event::Lost { listener, .. } => drop(views.remove(listener)),
            Event::Changed { since_us, orders } => {
                changes
                    .extend(orders.iter().map(|(order, version)| (*order, (*version, *since_us))));
            }
            Event::Scene(_)
            | Event::Opening { hero: Some(_), .. }
            | Event::Asked { .. }
            | Event::Answered { .. }
            | Event::Ended { .. }
            | Event::Fault { .. }
            | Event::Done { .. }
            | Event::Mended
            | Event::Quiet => {}
        }
    }
    for (listener, view) in views {
        for (order, (version, since_us)) in &changes {
            if view.lacks(*order, *version, *since_us) {
                let what = format!("version {version} of order {order}, of {since_us} us or later");
                violations
                    .add(Rule::FeedComplete, format!("watcher {listener} was never told {what}"));
            }
        }
    }
}
