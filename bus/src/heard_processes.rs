//! The processes from which a subscription received a heartbeat, for people who look after them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use galley_protocol::{ProcessReport, PublisherId};
use tokio::time::Instant;

use crate::HeardProcess;
use crate::heartbeat::Heartbeat;

/// The most processes remembered. Beyond it, the one that is silent for longest is forgotten.
const BOUND: usize = 512;
/// The time after which a silent process is forgotten.
const FORGET_AFTER: Duration = Duration::from_mins(10);

#[derive(Debug, Default)]
pub(crate) struct HeardProcesses(HashMap<PublisherId, LastHeartbeat>);

#[derive(Debug)]
struct LastHeartbeat {
    at: Instant,
    left: bool,
    report: Option<Arc<ProcessReport>>,
}

impl HeardProcesses {
    /// Notes a heartbeat. Without a report the process keeps the one before.
    pub(crate) fn hear(&mut self, beat: &Heartbeat, now: Instant) {
        if self.0.len() >= BOUND && !self.0.contains_key(&beat.publisher) {
            let oldest = self.0.iter().min_by_key(|(_, last)| last.at).map(|(id, _)| *id);
            oldest.map(|id| self.0.remove(&id));
        }
        let last = self.0.entry(beat.publisher).or_insert(LastHeartbeat {
            at: now,
            left: false,
            report: None,
        });
        (last.at, last.left) = (now, beat.leaves);
        if let Some(report) = &beat.report {
            last.report = Some(Arc::clone(report));
        }
    }

    /// Returns the processes, and forgets those that are silent for long.
    pub(crate) fn list(&mut self, now: Instant) -> Vec<HeardProcess> {
        self.0.retain(|_, last| now - last.at < FORGET_AFTER);
        let heard = self.0.iter().map(|(publisher, last)| HeardProcess {
            publisher: *publisher,
            at: last.at.into_std(),
            left: last.left,
            report: last.report.clone(),
        });
        heard.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use galley_protocol::{ProcessReport, PublisherId};
    use tokio::time::Instant;

    use super::{BOUND, FORGET_AFTER, HeardProcesses};
    use crate::heartbeat::Heartbeat;

    fn beat(id: usize, report: bool) -> Heartbeat {
        Heartbeat {
            publisher: PublisherId::new(i32::try_from(id).expect("small")).expect("an id"),
            number: 0,
            published: None,
            leaves: false,
            report: report.then(|| Arc::new(ProcessReport::new("1", "host", 1))),
        }
    }

    #[tokio::test]
    async fn beyond_the_bound_the_one_that_is_silent_for_longest_is_forgotten() {
        let (mut heard, began) = (HeardProcesses::default(), Instant::now());
        let after = |number: usize| began + Duration::from_millis(number as u64);
        for number in 1..=BOUND {
            heard.hear(&beat(number, true), after(number));
        }
        heard.hear(&beat(1, false), after(BOUND + 1));
        heard.hear(&beat(BOUND + 1, false), after(BOUND + 2));
        let list = heard.list(after(BOUND + 3));
        assert_eq!(list.len(), BOUND);
        let known = |id: usize| list.iter().find(|one| one.publisher == beat(id, false).publisher);
        assert!(known(2).is_none(), "it was silent for longest");
        assert!(known(1).expect("heard lately").report.is_some(), "it keeps its report");
        assert!(known(BOUND + 1).expect("the newest").report.is_none());
    }

    #[tokio::test]
    async fn a_process_that_is_silent_for_long_is_forgotten() {
        let (mut heard, began) = (HeardProcesses::default(), Instant::now());
        heard.hear(&beat(1, true), began);
        assert_eq!(heard.list(began + FORGET_AFTER / 2).len(), 1);
        assert_eq!(heard.list(began + FORGET_AFTER).len(), 0);
    }
}
