//! A correct record passes; each kind of violation planted into it is found.

mod news;

use std::time::Duration;

use serde_json::{Value, json};

use super::{CheckedRule, check};
use crate::faults::record::{Cast, ClientAnswer, Deed, RecordEntry, RecordedEvent};
use crate::faults::stored::StoredOrder;

const REST: Duration = Duration::from_secs(10);
const SECOND: u64 = 1_000_000;

/// The state of an order of hero 1 in one version.
fn state(id: i64, version: i64, status: &str, reason: Option<&str>) -> Value {
    json!({"id": id, "hero_id": 1, "meal_id": 2, "status": status, "reason": reason, "version": version})
}

fn pending(id: i64) -> Value {
    state(id, 1, "PENDING", None)
}

fn started(id: i64) -> Value {
    state(id, 2, "IN_PROGRESS", None)
}

fn completed(id: i64) -> Value {
    state(id, 3, "COMPLETED", None)
}

fn cancelled(id: i64, version: i64) -> Value {
    state(id, version, "CANCELLED", Some("hero_request"))
}

/// A record and the orders in the database.
struct Story {
    entries: Vec<RecordEntry>,
    stored: Vec<StoredOrder>,
    requests: usize,
}

impl Story {
    /// Order 7 was placed with a key and completed, 8 was cancelled in preparation, 9 was completed
    /// and deleted. One listener saw most of it, and was disconnected in between.
    fn honest() -> Self {
        let mut story = Self { entries: Vec::new(), stored: Vec::new(), requests: 0 };
        story.happens(RecordedEvent::Scene(Cast { heroes: vec![1], meal: 2, forbidden: 3 }));
        story.opens(None);
        story.hears(json!({"type": "welcome", "resume": "fresh", "orders": [], "cursor": "a"}));
        for (id, key) in [(7, Some("one")), (8, None), (9, None)] {
            story.asks(place(key), 202, pending(id));
            story.hears_of(&pending(id));
            story.stores(id, key, completed(id));
        }
        story.hears_of(&started(7));
        story.hears_of(&completed(7));
        story.stored[1].state = cancelled(8, 3);
        story.asks(Deed::Cancel(8), 200, cancelled(8, 3));
        story.asks(
            Deed::Cancel(7),
            409,
            json!({"type": "error", "problem": {"order": completed(7)}}),
        );
        story.stored[2].deleted = true;
        story.asks(Deed::Get(9), 200, completed(9));
        story.asks(Deed::End(9), 204, Value::Null);
        story.asks(Deed::Get(9), 404, Value::Null);
        story.asks(Deed::Delete(9), 404, Value::Null);
        story.opens(Some("a"));
        let deleted = json!([{"order_id": 9, "version": 4}]);
        story.hears(json!({"type": "welcome", "resume": "resumed", "orders": [cancelled(8, 3)], "deleted": deleted}));
        story
    }

    fn happens(&mut self, event: RecordedEvent) {
        let at_us = self.entries.len() as u64;
        self.entries.push(RecordEntry { at_us, event });
    }

    fn happens_at(&mut self, second: u64, event: RecordedEvent) {
        self.entries.push(RecordEntry { at_us: second * SECOND, event });
    }

    fn opens(&mut self, cursor: Option<&str>) {
        self.happens(RecordedEvent::Opening {
            listener: 0,
            hero: Some(1),
            gateway: 0,
            cursor: cursor.map(str::to_owned),
        });
    }

    fn hears(&mut self, frame: Value) {
        self.happens(RecordedEvent::Heard { listener: 0, frame });
    }

    fn hears_of(&mut self, order: &Value) {
        self.hears(json!({"type": "order", "order": order, "cursor": "b"}));
    }

    fn asks(&mut self, deed: Deed, status: u16, body: Value) {
        self.requests += 1;
        let request = self.requests;
        self.happens(RecordedEvent::Asked { request, hero: 1, gateway: None, deed });
        self.happens(RecordedEvent::Answered {
            request,
            answer: ClientAnswer::Told { status, body },
        });
    }

    fn stores(&mut self, id: i64, key: Option<&str>, state: Value) {
        let key = key.map(str::to_owned);
        self.stored.push(StoredOrder { id, hero: 1, meal: 2, key, deleted: false, state });
    }

    /// The rules that are broken at the end.
    fn broken(&self) -> Vec<CheckedRule> {
        self.broken_after(REST)
    }

    fn broken_after(&self, rest: Duration) -> Vec<CheckedRule> {
        let mut entries = self.entries.clone();
        entries.push(RecordEntry { at_us: 100 * SECOND, event: RecordedEvent::Mended });
        entries.push(RecordEntry { at_us: 109 * SECOND, event: RecordedEvent::Quiet });
        let mut broken: Vec<CheckedRule> =
            check(&entries, &self.stored, rest).iter().map(|violation| violation.rule).collect();
        broken.sort_unstable();
        broken.dedup();
        broken
    }
}

fn place(key: Option<&str>) -> Deed {
    Deed::Place { meal: 2, key: key.map(str::to_owned) }
}

/// The rules that are broken by this change of the honest story.
fn planted(lie: impl FnOnce(&mut Story)) -> Vec<CheckedRule> {
    let mut story = Story::honest();
    lie(&mut story);
    story.broken()
}

#[test]
fn an_honest_record_passes() {
    assert_eq!(Story::honest().broken(), []);
    let unknown = |story: &mut Story| {
        story.requests += 1;
        let request = story.requests;
        story.happens(RecordedEvent::Asked { request, hero: 1, gateway: None, deed: place(None) });
        story.happens(RecordedEvent::Answered {
            request,
            answer: ClientAnswer::Unknown("cut".to_owned()),
        });
    };
    assert_eq!(planted(unknown), [], "a request without an answer may have placed nothing");
    let placed = |story: &mut Story| {
        unknown(story);
        story.stores(10, None, completed(10));
        story.hears_of(&completed(10));
    };
    assert_eq!(planted(placed), [], "or one order");
    let again = |story: &mut Story| story.asks(place(Some("one")), 202, completed(7));
    assert_eq!(planted(again), [], "a key may be repeated");
}

#[test]
fn an_accepted_order_that_is_lost_is_found() {
    let lost = planted(|story| drop(story.stored.remove(1)));
    assert_eq!(
        lost,
        [
            CheckedRule::Durable,
            CheckedRule::EffectKept,
            CheckedRule::Committed,
            CheckedRule::NothingMissed
        ]
    );
    assert_eq!(
        planted(|story| story.stored[0].key = None),
        [CheckedRule::Durable, CheckedRule::PlacedOnce]
    );
}

#[test]
fn an_order_that_is_placed_twice_or_by_nobody_is_found() {
    let two_for_one_key = planted(|story| {
        story.asks(place(Some("one")), 202, pending(10));
        story.stores(10, Some("one"), completed(10));
        story.hears_of(&completed(10));
    });
    assert_eq!(two_for_one_key, [CheckedRule::PlacedOnce]);
    let one_for_two_requests = planted(|story| story.asks(place(None), 202, cancelled(8, 3)));
    assert_eq!(one_for_two_requests, [CheckedRule::PlacedOnce]);
    for key in [None, Some("stranger")] {
        let from_nowhere = planted(|story| {
            story.stores(10, key, completed(10));
            story.hears_of(&completed(10));
        });
        assert_eq!(from_nowhere, [CheckedRule::PlacedOnce]);
    }
}

#[test]
fn a_cancel_or_a_deletion_without_effect_is_found() {
    assert_eq!(
        planted(|story| story.asks(Deed::Cancel(7), 200, cancelled(7, 3))),
        [CheckedRule::CancelWins, CheckedRule::OneState]
    );
    assert_eq!(
        planted(|story| story.asks(Deed::Cancel(8), 200, Value::Null)),
        [CheckedRule::EffectKept]
    );
    let undeleted = planted(|story| {
        story.asks(Deed::Delete(7), 200, json!({"type": "reply", "deleted": true, "order_id": 7}));
    });
    assert_eq!(undeleted, [CheckedRule::EffectKept]);
    assert_eq!(
        planted(|story| story.asks(Deed::End(7), 204, Value::Null)),
        [CheckedRule::EffectKept]
    );
}

#[test]
fn a_step_that_the_life_cycle_does_not_have_is_found() {
    for (version, state) in [
        (1, state(7, 1, "IN_PROGRESS", None)),
        (2, state(7, 2, "PENDING", None)),
        (2, state(7, 2, "COMPLETED", None)),
        (2, state(7, 2, "CANCELLED", Some("allergy"))),
    ] {
        let broken = planted(|story| {
            story.entries.retain(|entry| {
                !format!("{entry:?}").contains(&format!("\"version\": Number({version})"))
            });
            story.hears_of(&state);
        });
        assert!(broken.contains(&CheckedRule::LifeCycle), "{version}: {broken:?}");
    }
    let skipped = planted(|story| {
        story.stored[0].state = state(7, 4, "COMPLETED", None);
        story.hears_of(&state(7, 4, "COMPLETED", None));
    });
    assert!(skipped.contains(&CheckedRule::LifeCycle), "{skipped:?}");
}

#[test]
fn one_version_with_two_states_is_found() {
    let mut other = started(7);
    other["message"] = json!("another");
    assert_eq!(planted(|story| story.hears_of(&other)), [CheckedRule::OneState]);
    let both_ends = planted(|story| story.hears_of(&cancelled(7, 3)));
    assert_eq!(both_ends, [CheckedRule::OneState]);
    let both_before_its_end = planted(|story| story.hears_of(&cancelled(9, 3)));
    assert!(both_before_its_end.contains(&CheckedRule::OneState));
}

#[test]
fn what_the_database_does_not_have_is_found() {
    let ahead = planted(|story| {
        story.hears(json!({"type": "deleted", "order_id": 7, "version": 4, "cursor": "c"}));
    });
    assert_eq!(ahead, [CheckedRule::Committed, CheckedRule::NothingMissed]);
    let ghost = planted(|story| story.asks(Deed::Get(99), 200, pending(99)));
    assert_eq!(ghost, [CheckedRule::Committed]);
    let foreign = planted(|story| {
        story.stores(10, None, completed(10));
        story.stored[3].hero = 2;
        story.asks(place(None), 202, pending(10));
        story.hears_of(&completed(10));
    });
    assert!(foreign.contains(&CheckedRule::Committed), "{foreign:?}");
}

#[test]
fn a_read_of_the_past_is_found() {
    assert_eq!(
        planted(|story| story.asks(Deed::Get(7), 200, started(7))),
        [CheckedRule::NoWayBack]
    );
    let listed = json!({"items": [cancelled(8, 3), pending(7)]});
    assert_eq!(planted(|story| story.asks(Deed::List, 200, listed)), [CheckedRule::NoWayBack]);
    let welcomed = planted(|story| {
        story.opens(Some("a"));
        story.hears(json!({"type": "welcome", "resume": "resumed", "orders": [started(7)]}));
    });
    assert_eq!(welcomed, [CheckedRule::NoWayBack]);
}

#[test]
fn a_forbidden_meal_that_was_prepared_is_found() {
    assert!(planted(|story| story.stored[0].meal = 3).contains(&CheckedRule::Allergy));
}

#[test]
fn an_untruthful_refusal_is_found() {
    for deed in [Deed::Get(7), Deed::Cancel(7), Deed::End(7), Deed::Delete(7)] {
        assert_eq!(planted(|story| story.asks(deed, 404, Value::Null)), [CheckedRule::Truthful]);
    }
    let deleted_by_itself = planted(|story| {
        story.stored[0].deleted = true;
        story.hears(json!({"type": "deleted", "order_id": 7, "version": 4, "cursor": "c"}));
        story.asks(Deed::End(7), 404, Value::Null);
    });
    assert_eq!(deleted_by_itself, [CheckedRule::Truthful]);
    assert_eq!(
        planted(|story| story.asks(Deed::Cancel(7), 409, Value::Null)),
        [CheckedRule::Truthful]
    );
    let too_early = json!({"order": completed(7)});
    assert_eq!(
        planted(|story| story.asks(Deed::Delete(7), 409, too_early)),
        [CheckedRule::Truthful]
    );
}

#[test]
fn an_unknown_answer_or_frame_is_found() {
    for deed in
        [place(None), Deed::Cancel(7), Deed::End(7), Deed::Delete(7), Deed::Get(7), Deed::List]
    {
        assert_eq!(planted(|story| story.asks(deed, 500, Value::Null)), [CheckedRule::KnownAnswer]);
    }
    assert_eq!(
        planted(|story| story.hears(json!({"type": "surprise"}))),
        [CheckedRule::KnownAnswer]
    );
}

#[test]
fn a_cursor_that_does_not_lead_on_is_found() {
    let resynced = planted(|story| {
        story.opens(Some("a"));
        story.hears(json!({"type": "welcome", "resume": "resynced", "orders": []}));
    });
    assert_eq!(resynced, [CheckedRule::Resumes]);
}

#[test]
fn a_listener_that_missed_something_is_found() {
    let unheard = planted(|story| {
        story.asks(place(None), 202, pending(10));
        story.stores(10, None, completed(10));
    });
    assert_eq!(unheard, [CheckedRule::NothingMissed]);
    let only_the_beginning = planted(|story| {
        story.asks(place(None), 202, pending(10));
        story.hears_of(&pending(10));
        story.stores(10, None, completed(10));
    });
    assert_eq!(only_the_beginning, [CheckedRule::NothingMissed]);
    let undeleted = planted(|story| story.stored[0].deleted = true);
    assert_eq!(undeleted, [CheckedRule::NothingMissed]);
}

#[test]
fn what_does_not_come_to_rest_is_found() {
    assert_eq!(Story::honest().broken_after(Duration::from_secs(8)), [CheckedRule::ComesToRest]);
    let story = Story::honest();
    let never = check(&story.entries, &story.stored, REST);
    assert_eq!(
        never.iter().map(|violation| violation.rule).collect::<Vec<_>>(),
        [CheckedRule::ComesToRest]
    );
    let open = planted(|story| {
        story.asks(place(None), 202, pending(10));
        story.hears_of(&pending(10));
        story.stores(10, None, pending(10));
    });
    assert_eq!(open, [CheckedRule::ComesToRest]);
}
