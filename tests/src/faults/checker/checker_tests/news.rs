//! Updates in the wrong order, too late, missing, or to a lost client are found.

use serde_json::{Value, json};

use super::{SECOND, Story, completed, pending, place, planted, started};
use crate::faults::action::{Action, Backend, Component, ServerLink};
use crate::faults::checker::CheckedRule;
use crate::faults::record::RecordedEvent;

const WATCHER: usize = 9;

impl Story {
    /// Staff watches from this second on, and receives these frames.
    fn watches_at(&mut self, second: u64, frames: Vec<Value>) {
        self.happens_at(
            second,
            RecordedEvent::Opening { listener: WATCHER, hero: None, gateway: 1, cursor: None },
        );
        for frame in frames {
            self.happens_at(second, RecordedEvent::Heard { listener: WATCHER, frame });
        }
    }

    /// The database has this version of an order in this second, but not in the second before.
    fn changes_at(&mut self, second: u64, order: i64, version: i64) {
        let since_us = (second - 1) * SECOND;
        self.happens_at(
            second,
            RecordedEvent::Changed { since_us, orders: vec![(order, version)] },
        );
    }
}

#[test]
fn an_older_state_after_a_newer_one_is_found() {
    let backwards = |story: &mut Story| {
        story.hears_of(&completed(7));
        story.hears_of(&started(7));
    };
    assert_eq!(planted(backwards), [CheckedRule::InOrder]);
    let undeleted = planted(|story| story.hears_of(&completed(9)));
    assert_eq!(undeleted, [CheckedRule::InOrder]);
    let on_two_connections = |story: &mut Story| {
        story.hears_of(&completed(7));
        story.opens(Some("a"));
        story.hears_of(&started(7));
    };
    assert_eq!(
        planted(on_two_connections),
        [],
        "what a new connection tells again is no step back"
    );
    let by_a_feed = |story: &mut Story| {
        let frames =
            [completed(7), started(7)].map(|order| json!({"type": "feed", "orders": [order]}));
        story.watches_at(20, frames.to_vec());
    };
    assert_eq!(planted(by_a_feed), [CheckedRule::InOrder]);
    let answered = |story: &mut Story| {
        story.hears_of(&completed(7));
        story.hears(json!({"type": "reply", "id": 1, "order": started(7)}));
    };
    assert_eq!(planted(answered), [], "an answer may have been read before");
}

/// The rules that are broken when the database has order 10 in second 20 and the listener sees it
/// in second 35. In between this fault begins and ends.
fn late(broken: Option<(Action, Action)>) -> Vec<CheckedRule> {
    planted(|story| {
        story.asks(place(None), 202, pending(10));
        story.stores(10, None, completed(10));
        story.changes_at(20, 10, 3);
        if let Some((fault, end)) = broken {
            story.happens_at(21, RecordedEvent::Fault { action: fault });
            story.happens_at(34, RecordedEvent::Done { action: end, step: String::new() });
        }
        story.happens_at(
            35,
            RecordedEvent::Heard {
                listener: 0,
                frame: json!({"type": "order", "order": completed(10)}),
            },
        );
    })
}

#[test]
fn a_change_that_is_told_too_late_is_found_unless_the_gateway_itself_was_hindered() {
    assert_eq!(late(None), [CheckedRule::InTime]);
    let (own, other, worker) = (Component::Gateway(0), Component::Gateway(1), Component::Worker(0));
    let to_redis = |part| ServerLink::Of(part, Backend::Redis);
    let paused = |part| Some((Action::Pause(part), Action::Continue(part)));
    let stalled = |link| Some((Action::Stall(link), Action::Free(link)));
    for excuse in
        [paused(own), stalled(to_redis(own)), Some((Action::KillRedis, Action::StartRedis))]
    {
        assert_eq!(late(excuse), [], "{excuse:?}");
    }
    let unrelated = Some((Action::ForbidWriting, Action::AllowWriting));
    for none in [
        paused(other),
        stalled(to_redis(other)),
        stalled(to_redis(worker)),
        paused(worker),
        unrelated,
    ] {
        assert_eq!(late(none), [CheckedRule::InTime], "{none:?}");
    }
    let failover = Some((Action::Pause(Component::Node(0)), Action::Continue(Component::Node(0))));
    assert_eq!(late(failover), [], "a cluster has time for a failover");
}

#[test]
fn a_node_that_stays_silent_excuses_a_cluster_no_longer_than_a_failover_takes() {
    let broken = planted(|story| {
        story.asks(place(None), 202, pending(10));
        story.stores(10, None, completed(10));
        story.changes_at(20, 10, 3);
        story.happens_at(21, RecordedEvent::Fault { action: Action::Pause(Component::Node(0)) });
        story.happens_at(
            50,
            RecordedEvent::Heard {
                listener: 0,
                frame: json!({"type": "order", "order": completed(10)}),
            },
        );
    });
    assert_eq!(broken, [CheckedRule::InTime]);
}

#[test]
fn a_feed_that_leaves_a_change_out_is_found() {
    let watching = json!({"type": "reply", "id": 1, "watching": true});
    let told = |orders: Value| json!({"type": "feed", "orders": orders});
    let watched = |frames: Vec<Value>| {
        planted(|story| {
            story.watches_at(20, vec![watching.clone()]);
            story.changes_at(23, 7, 3);
            for frame in frames {
                story.happens_at(24, RecordedEvent::Heard { listener: WATCHER, frame });
            }
        })
    };
    assert_eq!(watched(vec![told(json!([completed(7)]))]), []);
    assert_eq!(watched(Vec::new()), [CheckedRule::InTime, CheckedRule::FeedComplete]);
    assert_eq!(
        watched(vec![told(json!([started(7)]))]),
        [CheckedRule::InTime, CheckedRule::FeedComplete],
        "an older state is not enough"
    );
    let gap = json!({"type": "feed", "orders": [], "gap": true});
    assert_eq!(
        watched(vec![gap.clone()]),
        [CheckedRule::InTime, CheckedRule::FeedComplete],
        "a gap must be filled"
    );
    assert_eq!(watched(vec![gap, told(json!([completed(7)]))]), []);
    let before_the_watch = planted(|story| {
        story.changes_at(20, 7, 3);
        story.watches_at(21, vec![watching.clone()]);
    });
    assert_eq!(before_the_watch, []);
    let resumed = planted(|story| {
        story.watches_at(20, vec![watching.clone()]);
        story.happens_at(21, RecordedEvent::Ended { listener: WATCHER, why: "closed".to_owned() });
        story.changes_at(23, 7, 3);
        story.watches_at(
            24,
            vec![json!({"type": "welcome", "resume": "resumed", "orders": []}), watching.clone()],
        );
    });
    assert_eq!(
        resumed,
        [CheckedRule::FeedComplete],
        "a watch that goes on owes what came in between"
    );
}

#[test]
fn a_browser_that_will_not_come_back_is_found() {
    let lost = planted(|story| {
        let opening =
            RecordedEvent::Opening { listener: 5, hero: Some(1), gateway: 0, cursor: None };
        story.happens(opening);
        story.happens(RecordedEvent::Lost { listener: 5, why: "503".to_owned() });
    });
    assert_eq!(lost, [CheckedRule::NobodyLost]);
}
