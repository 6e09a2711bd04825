//! The state of every publisher in one subscription, and the cursor before which all their changes
//! were delivered.
//!
//! The safe cursor of a subscription is the minimum of the last census' cursor and of the cursors
//! of all publishers. The cursor of a publisher moves with its heartbeats, shard by shard, as long
//! as none of its messages is missing. A missing message is a gap, and so is a live publisher that
//! is silent. The cursor then does not move until a repair has been carried out, a read of the
//! database since that cursor. The safe cursor therefore never passes a change that was not
//! delivered.

mod publisher;

use std::collections::{BTreeSet, HashMap};

use galley_protocol::{PublisherId, RepairCauses, ResumeCursor};
use tokio::time::Instant;

use crate::UnheardPublisher;
use crate::heartbeat::{Heartbeat, SILENCE};
use publisher::{Publisher, PublisherPhase, RepairDebt};

/// The most publishers remembered. Beyond it, one that is gone is forgotten. If none is gone, the
/// one that is silent for longest is forgotten: this counts as a gap, and so does its next message.
const BOUND: usize = 1_024;

#[derive(Debug)]
pub(crate) struct Publishers {
    known: HashMap<PublisherId, Publisher>,
    shards: usize,
    /// Due repairs of everything: for the time before the subscription, or while it was cut.
    debt: RepairDebt,
    census: Option<LastCensus>,
    safe: Option<ResumeCursor>,
    /// The gap that was noticed since the last [`Self::take_gap`].
    gap: Option<Gap>,
    gaps: RepairCauses,
}

/// The reason of a gap, as its count.
type GapCause = fn(&mut RepairCauses) -> &mut u64;

const CUT: GapCause = |gaps| &mut gaps.cut;
const MISSING: GapCause = |gaps| &mut gaps.missing;
const UNHEARD: GapCause = |gaps| &mut gaps.unheard;
const DIED: GapCause = |gaps| &mut gaps.died;

#[derive(Debug)]
struct LastCensus {
    living: BTreeSet<PublisherId>,
    safe: ResumeCursor,
    /// The position above every transaction that had begun.
    next: i64,
    at: Instant,
}

/// A possible loss since a cursor. `None`: its start is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) since: Option<ResumeCursor>,
}

impl Publishers {
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            known: HashMap::new(),
            shards,
            debt: RepairDebt::OWED,
            census: None,
            safe: None,
            gap: None,
            gaps: RepairCauses::default(),
        }
    }

    /// Notes a message with updates. A number that was left out is a gap. The first message of a
    /// publisher is a gap unless its number is 1, because earlier ones were missed.
    pub(crate) fn updates(&mut self, shard: u16, id: PublisherId, number: u64, now: Instant) {
        let publisher = self.publisher(id, now);
        if publisher.receive(shard, number, number.saturating_sub(1), now) {
            self.owe(id, MISSING);
        }
    }

    /// Notes a heartbeat. It follows everything that was published on its shard: each message up to
    /// its number was received or is missing.
    pub(crate) fn heartbeat(&mut self, shard: u16, beat: &Heartbeat, now: Instant) {
        let settled = self.debt.is_settled();
        let publisher = self.publisher(beat.publisher, now);
        let hole = publisher.receive(shard, beat.number, beat.number, now)
            | publisher.correct(shard, beat.number);
        // The cursor of a publisher moves only if nothing before it is missing.
        if settled && !hole {
            publisher.advance(shard, beat.published);
        }
        if beat.leaves {
            publisher.leave(shard);
        }
        if hole {
            self.owe(beat.publisher, MISSING);
        }
        self.advance();
    }

    /// Notes a census. From now on each live publisher must send heartbeats.
    pub(crate) fn census(
        &mut self,
        living: &BTreeSet<PublisherId>,
        safe: ResumeCursor,
        next: i64,
        now: Instant,
    ) {
        // Forgets publishers that left in order and need no further repair.
        self.known.retain(|id, publisher| {
            publisher.life != PublisherPhase::Left || publisher.counts() || living.contains(id)
        });
        for id in living {
            if self.publisher(*id, now).revive() {
                self.owe(*id, UNHEARD);
            }
        }
        self.census = Some(LastCensus { living: living.clone(), safe, next, at: now });
        self.advance();
    }

    /// Notes that updates of any publisher may have been lost up to here.
    pub(crate) fn cut(&mut self) {
        self.debt.owe();
        let since =
            self.known.values().filter(|publisher| publisher.counts()).map(Publisher::published);
        let since = since.fold(self.safe, Option::min);
        self.note(since, CUT);
    }

    /// Looks for silent publishers, about once a second. While a live publisher is silent, a repair
    /// is due every two seconds, and once more when its messages arrive again. If a publisher died,
    /// repairs are due until every transaction that it may have begun has ended, because one may
    /// still commit. Without a fresh census no publisher is judged.
    pub(crate) fn judge(&mut self, now: Instant) {
        let Some(census) = self.census.as_ref().filter(|census| now - census.at < SILENCE) else {
            return;
        };
        let owing = self.known.iter_mut().filter_map(|(id, publisher)| {
            let lives = census.living.contains(id);
            let due = publisher.judge(lives, census.safe.position, census.next, now);
            let cause = if publisher.life == PublisherPhase::Dead { DIED } else { UNHEARD };
            due.then_some((*id, cause))
        });
        for (id, cause) in owing.collect::<Vec<_>>() {
            self.owe(id, cause);
        }
    }

    /// Notes that a read of the database begins, which repairs every gap noticed so far.
    pub(crate) fn repairing(&mut self) {
        self.debt.begin();
        self.known.values_mut().for_each(|publisher| publisher.debt.begin());
    }

    /// Notes that the read was carried out: everything before `safe`, an earlier cursor, arrived.
    pub(crate) fn repaired(&mut self, safe: ResumeCursor) {
        let of_all = self.debt.end();
        for publisher in self.known.values_mut() {
            publisher.repaired(safe, of_all);
        }
        self.advance();
    }

    pub(crate) fn unheard(&self) -> Vec<UnheardPublisher> {
        let unheard = self.known.iter().filter_map(|(id, publisher)| {
            publisher
                .unheard_since()
                .map(|since| UnheardPublisher { publisher: *id, since: since.into_std() })
        });
        unheard.collect()
    }

    /// Returns the number of gaps by cause. Gaps that are taken together count by the first cause.
    pub(crate) fn gaps(&self) -> RepairCauses {
        self.gaps
    }

    pub(crate) fn take_gap(&mut self) -> Option<Gap> {
        self.gap.take()
    }

    /// Returns the cursor before which everything was delivered.
    pub(crate) fn safe(&self) -> Option<ResumeCursor> {
        self.safe
    }

    /// Notes that a repair for one publisher is due.
    fn owe(&mut self, id: PublisherId, cause: GapCause) {
        let Some(publisher) = self.known.get_mut(&id) else { return };
        publisher.debt.owe();
        let since = publisher.published();
        self.note(since, cause);
    }

    /// Merges a gap into the one that was not taken yet.
    fn note(&mut self, since: Option<ResumeCursor>, cause: GapCause) {
        if self.gap.is_none() {
            *cause(&mut self.gaps) += 1;
        }
        // `None`, an unknown start, is the least.
        let since = self.gap.map_or(since, |gap| gap.since.min(since));
        self.gap = Some(Gap { since });
    }

    /// Moves the safe cursor, unless a repair of everything is due.
    fn advance(&mut self) {
        let Some(census) = self.census.as_ref().filter(|_| self.debt.is_settled()) else { return };
        let told =
            self.known.values().filter(|publisher| publisher.counts()).map(Publisher::published);
        // `None`, a publisher without a cursor, is the least: the safe cursor then stays.
        let safe = told.fold(Some(census.safe), Option::min);
        self.safe = safe.or(self.safe);
    }

    /// Returns a publisher. A new one has committed nothing before the safe cursor, because it was
    /// not alive when that was taken.
    fn publisher(&mut self, id: PublisherId, now: Instant) -> &mut Publisher {
        if self.known.len() >= BOUND && !self.known.contains_key(&id) {
            self.forget_one();
        }
        let (shards, safe) = (self.shards, self.safe);
        self.known.entry(id).or_insert_with(|| Publisher::new(shards, safe, now))
    }

    fn forget_one(&mut self) {
        // The minimum prefers publishers that are gone (`false` is less than `true`).
        let oldest = self
            .known
            .iter()
            .min_by_key(|(_, publisher)| (publisher.counts(), publisher.most_recently_received()));
        let Some((id, publisher)) = oldest.map(|(id, publisher)| (*id, publisher.counts())) else {
            return;
        };
        if publisher {
            self.cut();
        }
        self.known.remove(&id);
    }
}

#[cfg(test)]
mod publishers_tests;
