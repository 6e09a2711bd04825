//! What a subscription knows of every publisher, to notice a message that never came and a publisher that is gone.

use std::collections::HashMap;

use galley_protocol::UpdateBatch;
use tokio::time::Instant;

use super::probe::{Probe, SILENCE};

/// The most publishers remembered. Beyond, the one silent for longest is forgotten; should it speak again, that counts as a
/// hole.
const BOUND: usize = 1_024;

/// Every publisher heard of.
#[derive(Debug)]
pub(super) struct Publishers {
    known: HashMap<u64, Publisher>,
    shards: usize,
    heard: u64,
}

#[derive(Debug)]
struct Publisher {
    /// The last number heard on each shard.
    last: Vec<u64>,
    /// The last number on each shard that its heartbeat told of.
    told: Vec<u64>,
    /// When its heartbeat came last, if ever.
    beat: Option<Instant>,
    /// When it was heard last, counted in messages.
    heard: u64,
}

impl Publishers {
    /// Nobody, on a bus of so many shards.
    pub(super) fn new(shards: usize) -> Self {
        Self { known: HashMap::new(), shards, heard: 0 }
    }

    /// Takes note of a message; whether one before it is missing. A publisher that is heard for the first time with any number
    /// but 1 spoke before: that, too, is a hole.
    pub(super) fn leave_a_hole(&mut self, shard: u16, batch: &UpdateBatch) -> bool {
        let publisher = self.publisher(batch.publisher);
        let Some(last) = publisher.last.get_mut(usize::from(shard)) else { return false };
        let hole = batch.number.saturating_sub(1) > *last; // whatever number a stranger writes
        *last = batch.number.max(*last);
        hole
    }

    /// Takes note of a heartbeat; whether a message is missing. What a heartbeat tells of may still be on its way on another
    /// channel; what the one before told of must have come. One who is heard for the first time and spoke before is a hole.
    pub(super) fn beat(&mut self, probe: Probe, now: Instant) -> bool {
        let is_new = !self.known.contains_key(&probe.publisher);
        let publisher = self.publisher(probe.publisher);
        let told = if is_new { &probe.numbers } else { &publisher.told };
        let mut hole = false;
        for (last, told) in publisher.last.iter_mut().zip(told) {
            hole |= *last < *told;
            *last = (*last).max(*told);
        }
        publisher.told = probe.numbers;
        publisher.beat = Some(now);
        hole
    }

    /// Forgets those whose heart stopped; whether there were any. What they committed last may never have been published.
    pub(super) fn bury(&mut self, now: Instant) -> bool {
        let before = self.known.len();
        self.known.retain(|_, publisher| publisher.beat.is_none_or(|beat| now - beat < SILENCE));
        self.known.len() < before
    }

    fn publisher(&mut self, id: u64) -> &mut Publisher {
        self.heard += 1;
        if self.known.len() >= BOUND && !self.known.contains_key(&id) {
            let oldest = self.known.iter().min_by_key(|(_, publisher)| publisher.heard).map(|(id, _)| *id);
            oldest.and_then(|id| self.known.remove(&id));
        }
        let fresh = || Publisher { last: vec![0; self.shards], told: vec![0; self.shards], beat: None, heard: 0 };
        let publisher = self.known.entry(id).or_insert_with(fresh);
        publisher.heard = self.heard;
        publisher
    }
}

#[cfg(test)]
mod tests {
    use galley_protocol::UpdateBatch;
    use tokio::time::Instant;

    use super::{BOUND, Publishers};
    use crate::redis::probe::{BEAT, Probe, SILENCE};

    fn hole(publishers: &mut Publishers, publisher: u64, shard: u16, number: u64) -> bool {
        publishers.leave_a_hole(shard, &UpdateBatch { publisher, number, updates: Vec::new() })
    }

    fn beat(publishers: &mut Publishers, publisher: u64, numbers: [u64; 2], now: Instant) -> bool {
        publishers.beat(Probe { publisher, numbers: numbers.into() }, now)
    }

    #[test]
    fn no_number_that_can_be_written_is_too_great() {
        let mut publishers = Publishers::new(2);
        assert!(hole(&mut publishers, 7, 0, u64::MAX));
        assert!(!hole(&mut publishers, 7, 0, u64::MAX));
        assert!(!hole(&mut publishers, 8, 0, 0));
    }

    #[test]
    fn a_number_left_out_is_a_hole_once() {
        let mut publishers = Publishers::new(2);
        for (publisher, shard, number, expected) in [
            (7, 0, 1, false),
            (7, 0, 2, false),
            (7, 1, 1, false),
            (7, 0, 4, true),
            (7, 0, 3, false),
            (7, 0, 5, false),
            (8, 0, 9, true),
            (8, 0, 10, false),
        ] {
            assert_eq!(hole(&mut publishers, publisher, shard, number), expected, "{publisher} {shard} {number}");
        }
    }

    #[test]
    fn a_last_message_that_never_came_is_a_hole_at_the_second_heartbeat() {
        let (mut publishers, now) = (Publishers::new(2), Instant::now());
        assert!(!hole(&mut publishers, 7, 0, 1));
        assert!(!beat(&mut publishers, 7, [2, 0], now), "it may still be on its way");
        assert!(beat(&mut publishers, 7, [2, 1], now), "number 2 is lost");
        assert!(!hole(&mut publishers, 7, 1, 1));
        assert!(!beat(&mut publishers, 7, [2, 1], now));
    }

    #[test]
    fn one_who_spoke_before_is_a_hole_and_one_who_begins_is_none() {
        let (mut publishers, now) = (Publishers::new(2), Instant::now());
        assert!(beat(&mut publishers, 7, [0, 3], now));
        assert!(!hole(&mut publishers, 7, 1, 4));
        assert!(!beat(&mut publishers, 8, [0, 0], now));
        assert!(!hole(&mut publishers, 8, 0, 1));
    }

    #[test]
    fn one_whose_heart_stopped_is_buried_once() {
        let (mut publishers, now) = (Publishers::new(2), Instant::now());
        hole(&mut publishers, 6, 0, 1);
        beat(&mut publishers, 7, [0, 0], now);
        beat(&mut publishers, 8, [0, 0], now + BEAT);
        assert!(!publishers.bury(now + SILENCE - BEAT));
        assert!(publishers.bury(now + SILENCE));
        assert!(!publishers.bury(now + SILENCE), "8 lives, and 6 has no heartbeat");
        assert!(publishers.bury(now + SILENCE + BEAT));
        assert!(beat(&mut publishers, 7, [1, 0], now), "it was only asleep, and has spoken");
    }

    #[test]
    fn at_the_bound_the_longest_silent_is_forgotten() {
        let mut publishers = Publishers::new(1);
        for publisher in 0..=BOUND as u64 {
            hole(&mut publishers, publisher, 0, 1);
        }
        assert_eq!(publishers.known.len(), BOUND);
        assert!(hole(&mut publishers, 0, 0, 2), "it was forgotten");
        assert!(!hole(&mut publishers, BOUND as u64, 0, 2), "it was not");
    }
}
