//! The rule that a watcher of the staff feed receives every change meanwhile.

use std::collections::HashMap;

use super::{Breaches, Case, CheckedRule};
use crate::faults::feed_view::FeedView;
use crate::faults::record::RecordedEvent;

pub(super) fn check(case: &Case<'_>, violations: &mut Breaches) {
    let mut views: HashMap<usize, FeedView> = HashMap::new();
    let mut changes: HashMap<i64, (i64, u64)> = HashMap::new();
    for entry in case.entries {
        if let RecordedEvent::Opening { listener, hero: None, .. } = &entry.event {
            views.entry(*listener).or_default().open();
        } else if let RecordedEvent::Heard { listener, frame } = &entry.event {
            views.get_mut(listener).into_iter().for_each(|view| view.take(frame, entry.at_us));
        } else if let RecordedEvent::Lost { listener, .. } = &entry.event {
            views.remove(listener);
        } else if let RecordedEvent::Changed { since_us, orders } = &entry.event {
            changes.extend(orders.iter().map(|(order, version)| (*order, (*version, *since_us))));
        }
    }
    for (listener, view) in views {
        for (order, (version, since_us)) in &changes {
            if view.lacks(*order, *version, *since_us) {
                let what = format!("version {version} of order {order}, of {since_us} us or later");
                violations.add(
                    CheckedRule::FeedComplete,
                    format!("watcher {listener} was never told {what}"),
                );
            }
        }
    }
}
