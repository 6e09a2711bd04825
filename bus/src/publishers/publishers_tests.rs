//! The state machine under simulated time.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use galley_protocol::{PublisherId, ResumeCursor};
use tokio::time::Instant;

use super::{BOUND, Gap, Publishers};
use crate::heartbeat::{BEAT, Heartbeat, SILENCE};
use crate::test_cursor::at;

/// A subscription with a clock that the test sets.
struct PublishersScene {
    publishers: Publishers,
    now: Instant,
    marks: u64,
    /// The position below which a transaction is under way, if there is one.
    under_way: Option<i64>,
    /// The last number of each publisher on each shard.
    numbers: HashMap<(i32, u16), u64>,
}

fn id(number: i32) -> PublisherId {
    PublisherId::new(number).expect("an id")
}

impl PublishersScene {
    /// Creates a subscription on two shards, with these live publishers, that has carried out its
    /// first repair.
    fn new(living: &[i32]) -> Self {
        let mut scene = Self {
            publishers: Publishers::new(2),
            now: Instant::now(),
            marks: 0,
            under_way: None,
            numbers: HashMap::new(),
        };
        scene.census(living);
        assert_eq!(scene.safe(), None, "what was told before the subscription is owed");
        scene.repair();
        scene
    }

    /// Returns a scene in which publisher 7 has left out a number.
    fn with_gap() -> Self {
        let mut scene = Self::new(&[7]);
        assert!(scene.updates(7, 0, 2));
        scene.census(&[7]);
        scene
    }

    /// Takes a census that returns the next cursor.
    fn census(&mut self, living: &[i32]) {
        self.marks += 1;
        let living: BTreeSet<PublisherId> = living.iter().copied().map(id).collect();
        let safe = at(self.marks);
        let next = self.under_way.map_or(safe.position, |below| below.max(safe.position));
        self.publishers.census(&living, safe, next, self.now);
    }

    fn repair(&mut self) {
        self.publishers.repairing();
        self.publishers.repaired(at(self.marks));
    }

    /// Receives updates; returns true if they reveal a gap.
    fn updates(&mut self, publisher: i32, shard: u16, number: u64) -> bool {
        self.numbers.insert((publisher, shard), number);
        self.publishers.updates(shard, id(publisher), number, self.now);
        self.publishers.take_gap().is_some()
    }

    fn beat_on(&mut self, shard: u16, publisher: i32, number: u64, mark: u64) -> Option<Gap> {
        self.numbers.insert((publisher, shard), number);
        let beat = Heartbeat {
            publisher: id(publisher),
            number,
            published: Some(at(mark)),
            leaves: false,
            report: None,
        };
        self.publishers.heartbeat(shard, &beat, self.now);
        self.publishers.take_gap()
    }

    /// Receives a heartbeat on each shard, with the newest mark as published cursor.
    /// Returns true if they reveal a gap.
    fn beat(&mut self, publisher: i32) -> bool {
        let gaps = [0, 1].map(|shard| {
            let number = self.numbers.get(&(publisher, shard)).copied().unwrap_or_default();
            self.beat_on(shard, publisher, number, self.marks)
        });
        gaps != [None; 2]
    }

    fn leave(&mut self, shard: u16, publisher: i32, number: u64) -> bool {
        let publisher = id(publisher);
        let bye = Heartbeat { publisher, number, published: None, leaves: true, report: None };
        self.publishers.heartbeat(shard, &bye, self.now);
        self.publishers.take_gap().is_some()
    }

    /// Moves the clock by a second: a census that finds `living` and heartbeats of `heard`.
    fn second(&mut self, received: &[i32], living: &[i32]) -> Option<Gap> {
        self.now += BEAT;
        self.census(living);
        for publisher in received {
            self.beat(*publisher);
        }
        self.publishers.judge(self.now);
        self.publishers.take_gap()
    }

    fn safe(&self) -> Option<ResumeCursor> {
        self.publishers.safe()
    }
}

fn since(number: u64) -> Gap {
    Gap { since: Some(at(number)) }
}

#[test]
fn a_number_left_out_is_a_gap_once() {
    let mut scene = PublishersScene::new(&[7, 8]);
    for (publisher, shard, number, expected) in [
        (7, 0, 1, false),
        (7, 0, 2, false),
        (7, 1, 1, false),
        (7, 0, 4, true),
        (7, 0, 3, false),
        (7, 0, 5, false),
        (8, 0, 9, true),
        (8, 0, 10, false),
        (9, 0, u64::MAX, true),
        (9, 0, 0, false),
        (9, 7, 5, false),
    ] {
        assert_eq!(
            scene.updates(publisher, shard, number),
            expected,
            "{publisher} {shard} {number}"
        );
    }
}

#[test]
fn a_false_number_hides_losses_only_until_the_next_heartbeat() {
    let mut scene = PublishersScene::new(&[7]);
    assert!(!scene.updates(7, 0, 1));
    assert!(scene.updates(7, 0, u64::MAX), "everything between is missing");
    scene.repair();
    assert_eq!(scene.beat_on(0, 7, 2, 1), Some(since(1)), "2 was lost behind the false one");
    scene.repair();
    assert_eq!(scene.beat_on(0, 7, u64::MAX, 1), Some(since(1)), "a false heartbeat");
    assert_eq!(scene.beat_on(0, 7, 2, 1), Some(since(1)), "and the true one behind it");
    scene.repair();
    assert_eq!(scene.beat_on(0, 7, 2, 1), None);
    assert!(scene.updates(7, 0, 4));
}

#[test]
fn a_last_message_that_never_came_is_a_gap_at_the_heartbeat_behind_it() {
    let mut scene = PublishersScene::new(&[7]);
    assert!(!scene.updates(7, 0, 1));
    assert_eq!(scene.beat_on(0, 7, 1, 1), None);
    assert_eq!(scene.beat_on(1, 7, 1, 1), Some(since(1)));
    assert_eq!(scene.beat_on(1, 7, 1, 1), None);
}

#[test]
fn a_publisher_that_spoke_before_it_was_heard_is_a_gap_and_one_that_begins_is_none() {
    let mut scene = PublishersScene::new(&[7]);
    assert_eq!(scene.beat_on(1, 7, 3, 1), Some(since(1)));
    assert_eq!(scene.beat_on(0, 8, 0, 1), None);
    assert!(!scene.updates(8, 0, 1));
}

#[test]
fn the_safe_cursor_moves_once_every_publisher_has_been_heard_on_every_shard() {
    let mut scene = PublishersScene::new(&[7, 8]);
    assert_eq!(scene.safe(), Some(at(1)));
    scene.census(&[7, 8]);
    assert!(!scene.beat(7));
    assert_eq!(scene.beat_on(0, 8, 0, 2), None);
    assert_eq!(scene.safe(), Some(at(1)), "8 may have published on the other shard");
    assert_eq!(scene.beat_on(1, 8, 0, 2), None);
    assert_eq!(scene.safe(), Some(at(2)));
}

#[test]
fn the_safe_cursor_stands_still_from_a_gap_until_its_repair() {
    let mut scene = PublishersScene::with_gap();
    assert_eq!(scene.beat_on(0, 7, 2, 2), None);
    assert_eq!(scene.beat_on(1, 7, 0, 2), None);
    assert_eq!(scene.safe(), Some(at(1)));
    scene.publishers.repairing();
    assert!(scene.updates(7, 0, 4), "this one came too late for the repair");
    scene.publishers.repaired(at(2));
    scene.census(&[7]);
    assert_eq!(scene.beat_on(0, 7, 4, 3), None);
    assert_eq!(scene.beat_on(1, 7, 0, 3), None);
    assert_eq!(scene.safe(), Some(at(2)));
    scene.repair();
    assert_eq!(scene.safe(), Some(at(3)));
}

#[test]
fn a_repair_that_failed_is_owed_until_one_succeeds() {
    let mut scene = PublishersScene::with_gap();
    scene.publishers.repairing();
    let revealed = scene.beat_on(0, 7, 2, 2);
    assert_eq!((revealed, scene.safe()), (None, Some(at(1))));
    scene.repair();
    assert_eq!(scene.safe(), Some(at(2)));
}

#[test]
fn a_cursor_that_a_publisher_holds_back_holds_all_back() {
    let mut scene = PublishersScene::new(&[7, 8]);
    for _ in 0..10 {
        scene.now += BEAT;
        scene.census(&[7, 8]);
        scene.beat(7);
        for shard in 0..2 {
            assert_eq!(scene.beat_on(shard, 8, 0, 1), None);
        }
        assert_eq!(scene.safe(), Some(at(1)));
    }
    assert!(!scene.beat(8));
    assert_eq!(scene.safe(), Some(at(11)));
}

#[test]
fn one_that_lives_and_is_silent_for_long_is_repaired_for_again_and_again_and_once_more() {
    let mut scene = PublishersScene::new(&[7, 8]);
    assert_eq!(scene.second(&[7, 8], &[7, 8]), None);
    let mut gaps = Vec::new();
    for second in 1..=50 {
        let cursor = scene.safe();
        if let Some(gap) = scene.second(&[7], &[7, 8]) {
            gaps.push(second);
            assert_eq!(gap.since, cursor);
            scene.repair();
            assert_eq!(scene.safe(), Some(at(scene.marks)), "the repair has told it");
        } else {
            assert_eq!(scene.safe(), cursor, "nobody knows what 8 publishes");
        }
    }
    assert_eq!(gaps, (4..=50).step_by(2).collect::<Vec<_>>());
    let unheard = scene.publishers.unheard();
    assert_eq!(unheard.iter().map(|unheard| unheard.publisher).collect::<Vec<_>>(), [id(8)]);
    assert_eq!(unheard[0].since, (scene.now - 50 * BEAT).into_std());
    assert!(scene.second(&[7, 8], &[7, 8]).is_some(), "once more");
    assert!(scene.publishers.unheard().is_empty());
    scene.repair();
    assert_eq!(scene.second(&[7, 8], &[7, 8]), None);
    assert_eq!(scene.safe(), Some(at(scene.marks)));
}

#[test]
fn what_it_could_not_publish_meanwhile_is_a_gap_since_before_it_fell_silent() {
    let mut scene = PublishersScene::new(&[7]);
    for _ in 0..3 {
        assert_eq!(scene.second(&[], &[7]), None);
    }
    assert_eq!(scene.beat_on(0, 7, 29, 1), Some(since(1)));
}

#[test]
fn one_that_is_silent_on_one_shard_alone_is_unheard() {
    let mut scene = PublishersScene::new(&[7]);
    let gaps = (1..=8).filter(|_| {
        scene.now += BEAT;
        scene.census(&[7]);
        assert_eq!(scene.beat_on(0, 7, 0, scene.marks), None);
        scene.publishers.judge(scene.now);
        scene.publishers.take_gap().is_some()
    });
    assert_eq!(gaps.collect::<Vec<_>>(), [4, 6, 8]);
    assert_eq!(scene.safe(), Some(at(1)), "nothing was repaired");
    assert_eq!(scene.publishers.unheard().len(), 1);
}

#[test]
fn one_that_died_holds_the_cursor_back_until_it_was_repaired_for_once() {
    let mut scene = PublishersScene::new(&[7, 8]);
    let gaps = (1..=20).filter(|_| scene.second(&[7], &[7]).is_some());
    assert_eq!(gaps.collect::<Vec<_>>(), [4]);
    assert_eq!(scene.safe(), Some(at(1)));
    assert!(scene.publishers.unheard().is_empty());
    scene.repair();
    assert_eq!(scene.second(&[7], &[7]), None);
    assert_eq!(scene.safe(), Some(at(scene.marks)));
    assert_eq!(scene.beat_on(0, 8, 0, 30), Some(since(21)), "it was only cut off from everything");
}

#[test]
fn one_that_died_while_it_committed_is_repaired_for_until_its_transactions_have_ended() {
    let mut scene = PublishersScene::new(&[7, 8]);
    scene.under_way = Some(15);
    let mut gaps = Vec::new();
    for second in 1..=20 {
        if scene.second(&[7], &[7]).is_some() {
            gaps.push(second);
            scene.repair();
        }
    }
    assert_eq!(gaps, [4, 6, 8, 10, 12, 14], "the last one after all of them");
    assert_eq!(scene.safe(), Some(at(scene.marks)));
}

#[test]
fn one_that_said_goodbye_costs_nothing_though_the_database_sees_it_a_little_longer() {
    let mut scene = PublishersScene::new(&[7, 8]);
    assert!(!scene.updates(8, 0, 1));
    assert!(!scene.leave(0, 8, 1) && !scene.leave(1, 8, 0));
    for _ in 0..3 {
        assert_eq!(scene.second(&[7], &[7, 8]), None);
        assert_eq!(scene.safe(), Some(at(scene.marks)));
    }
    for _ in 0..20 {
        assert_eq!(scene.second(&[7], &[7]), None);
    }
    assert_eq!(scene.publishers.known.len(), 1);
}

#[test]
fn a_goodbye_behind_a_message_that_never_came_is_a_gap() {
    let mut scene = PublishersScene::new(&[7, 8]);
    assert!(!scene.leave(0, 8, 0));
    assert!(scene.leave(1, 8, 1));
    assert_eq!(scene.second(&[7], &[7]), None);
    assert_eq!(scene.safe(), Some(at(1)));
    scene.repair();
    assert_eq!(scene.safe(), Some(at(2)));
}

#[test]
fn one_that_the_census_knows_and_nobody_ever_heard_is_unheard() {
    let mut scene = PublishersScene::new(&[7]);
    assert_eq!(scene.second(&[7], &[7]), None);
    let gaps = (1..=5).filter_map(|second| scene.second(&[7], &[7, 8]).map(|gap| (second, gap)));
    assert_eq!(gaps.collect::<Vec<_>>(), [(5, since(2))]);
    assert_eq!(scene.safe(), Some(at(2)), "8 has committed nothing before it began to live");
}

#[test]
fn nobody_is_judged_without_a_fresh_census() {
    let mut scene = PublishersScene::new(&[7, 8]);
    scene.now += SILENCE;
    scene.publishers.judge(scene.now);
    assert_eq!(scene.publishers.take_gap(), None);
}

#[test]
fn after_a_cut_everything_since_the_least_cursor_is_owed() {
    let mut scene = PublishersScene::new(&[7, 8]);
    scene.census(&[7, 8]);
    assert!(!scene.beat(7));
    scene.publishers.cut();
    assert_eq!(scene.publishers.take_gap(), Some(since(1)));
    assert!(!scene.beat(8));
    assert_eq!(scene.safe(), Some(at(1)));
    scene.repair();
    assert_eq!(scene.safe(), Some(at(2)));
}

#[test]
fn at_the_bound_one_that_is_gone_is_forgotten_and_then_the_longest_silent_which_is_a_gap() {
    let mut scene = PublishersScene::new(&[]);
    for publisher in 1..=i32::try_from(BOUND).expect("it is small") {
        scene.now += Duration::from_millis(1);
        assert!(!scene.updates(publisher, 0, 1));
    }
    assert!(!scene.leave(0, 2, 1) && !scene.leave(1, 2, 0));
    assert!(!scene.updates(5_000, 0, 1));
    assert!(!scene.publishers.known.contains_key(&id(2)));
    assert!(scene.updates(5_001, 0, 1));
    assert!(!scene.publishers.known.contains_key(&id(1)));
    assert_eq!(scene.publishers.known.len(), BOUND);
}
