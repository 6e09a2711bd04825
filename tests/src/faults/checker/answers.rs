//! The rule that every answer is documented.

use super::{Breaches, Case, CheckedRule};
use crate::faults::record::{Deed, RecordedEvent};

/// The types of the frames that a listener may get.
const FRAMES: [&str; 10] = [
    "welcome",
    "order",
    "deleted",
    "hero",
    "menu",
    "resync",
    "reconnect",
    "feed",
    "reply",
    "error",
];

pub(super) fn check(case: &Case<'_>, violations: &mut Breaches) {
    for request in &case.requests {
        let expected: &[u16] = match request.deed {
            Deed::Place { .. } => &[200, 202, 503],
            Deed::Cancel(_) | Deed::Delete(_) => &[200, 204, 404, 409, 503],
            Deed::End(_) => &[200, 204, 404, 503],
            Deed::Get(_) => &[200, 404, 503],
            Deed::List => &[200, 503],
        };
        if let Some((status, body)) =
            request.told().filter(|(status, _)| !expected.contains(status))
        {
            violations.add(
                CheckedRule::KnownAnswer,
                format!("{:?} was answered {status}: {body}", request.deed),
            );
        }
    }
    for entry in case.entries {
        if let RecordedEvent::Heard { frame, .. } = &entry.event
            && !frame["type"].as_str().is_some_and(|kind| FRAMES.contains(&kind))
        {
            violations.add(CheckedRule::KnownAnswer, format!("there is no such frame: {frame}"));
        }
    }
}
