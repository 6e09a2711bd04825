//! Everything that a subscription knows of the publishers, and how far it has been told all that
//! they committed.
//!
//! The safe cursor of a subscription is the least of the cursor of the last census and of the
//! cursors of all publishers. A publisher's cursor moves with its heartbeats, shard by shard, as
//! long as no message of it is missing. Where one is missing, or a publisher that lives is not
//! heard, there is a gap: the cursor stands still until a repair, a read of the database since that
//! cursor, has been carried out. So the safe cursor never passes anything that was not told.

mod publisher;

use std::collections::{BTreeSet, HashMap};

use galley_protocol::{PublisherId, ResumeCursor};
use tokio::time::Instant;

use crate::Unheard;
use crate::heartbeat::{Heartbeat, SILENCE};
use publisher::{Debt, Life, Publisher};

/// The most publishers remembered. Beyond, one that is gone is forgotten, else the one silent for
/// longest, which counts as a gap; should it speak again, that counts as a gap, too.
const BOUND: usize = 1_024;

/// Every publisher that was heard of, by the bus or by the database.
#[derive(Debug)]
pub(crate) struct Publishers {
    known: HashMap<PublisherId, Publisher>,
    shards: usize,
    /// The repairs for the time before the subscription, or while it was cut.
    debt: Debt,
    census: Option<Census>,
    safe: Option<ResumeCursor>,
    gap: Option<Gap>,
}

/// The last answer of the database.
#[derive(Debug)]
struct Census {
    living: BTreeSet<PublisherId>,
    safe: ResumeCursor,
    next: i64,
    at: Instant,
}

/// Something may be missing since a cursor; since nobody knows when, if there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) since: Option<ResumeCursor>,
}

impl Publishers {
    /// No publisher, on a bus of so many shards.
    pub(crate) fn new(shards: usize) -> Self {
        let known = HashMap::new();
        Self { known, shards, debt: Debt::OWED, census: None, safe: None, gap: None }
    }

    /// Takes note of a message with updates. A number that was left out is a gap. A publisher that
    /// is heard for the first time with any number but 1 spoke before: that is a gap, too.
    pub(crate) fn updates(&mut self, shard: u16, id: PublisherId, number: u64, now: Instant) {
        let publisher = self.publisher(id, now);
        if publisher.hear(shard, number, number.saturating_sub(1), now) {
            self.owe(id);
        }
    }

    /// Takes note of a heartbeat. It comes behind everything that was published on its shard, so
    /// that its number was heard, or is missing.
    pub(crate) fn heartbeat(&mut self, shard: u16, beat: &Heartbeat, now: Instant) {
        let settled = self.debt.is_settled();
        let publisher = self.publisher(beat.publisher, now);
        let hole = publisher.hear(shard, beat.number, beat.number, now);
        if settled && !hole {
            publisher.advance(shard, beat.published);
        }
        if beat.leaves {
            publisher.leave(shard);
        }
        if hole {
            self.owe(beat.publisher);
        }
        self.advance();
    }

    /// Takes the publishers that the database knows to live. Each of them must be heard from now
    /// on.
    pub(crate) fn census(
        &mut self,
        living: &BTreeSet<PublisherId>,
        safe: ResumeCursor,
        next: i64,
        now: Instant,
    ) {
        self.known.retain(|id, publisher| {
            publisher.life != Life::Left || publisher.counts() || living.contains(id)
        });
        for id in living {
            if self.publisher(*id, now).revive() {
                self.owe(*id);
            }
        }
        self.census = Some(Census { living: living.clone(), safe, next, at: now });
        self.advance();
    }

    /// Updates of anybody may have been lost up to here.
    pub(crate) fn cut(&mut self) {
        self.debt.owe();
        let since = self.known.values().filter(|publisher| publisher.counts()).map(Publisher::told);
        let since = since.fold(self.safe, Option::min);
        self.note(since);
    }

    /// Looks for publishers that are not heard, every second or so. As long as one lives, a repair
    /// is owed again every two seconds, and once more when it is heard again. One that died is
    /// repaired for until every transaction that it may have begun has ended: one may still commit.
    /// Without a fresh census nobody is judged.
    pub(crate) fn judge(&mut self, now: Instant) {
        let Some(census) = self.census.as_ref().filter(|census| now - census.at < SILENCE) else {
            return;
        };
        let owing = self.known.iter_mut().filter_map(|(id, publisher)| {
            let lives = census.living.contains(id);
            publisher.judge(lives, census.safe.position, census.next, now).then_some(*id)
        });
        for id in owing.collect::<Vec<_>>() {
            self.owe(id);
        }
    }

    /// A read of the database begins which repairs every gap that was noticed so far.
    pub(crate) fn repairing(&mut self) {
        self.debt.begin();
        self.known.values_mut().for_each(|publisher| publisher.debt.begin());
    }

    /// The read has been carried out: everything before `safe`, a cursor from before the read, has
    /// been told.
    pub(crate) fn repaired(&mut self, safe: ResumeCursor) {
        let of_all = self.debt.end();
        for publisher in self.known.values_mut() {
            publisher.repaired(safe, of_all);
        }
        self.advance();
    }

    /// The publishers that live and are not heard.
    pub(crate) fn unheard(&self) -> Vec<Unheard> {
        let unheard = self.known.iter().filter_map(|(id, publisher)| {
            publisher
                .unheard_since()
                .map(|since| Unheard { publisher: *id, since: since.into_std() })
        });
        unheard.collect()
    }

    /// Takes the gap that was noticed since the last call.
    pub(crate) fn take_gap(&mut self) -> Option<Gap> {
        self.gap.take()
    }

    /// Everything before this cursor has been told.
    pub(crate) fn safe(&self) -> Option<ResumeCursor> {
        self.safe
    }

    fn owe(&mut self, id: PublisherId) {
        let Some(publisher) = self.known.get_mut(&id) else { return };
        publisher.debt.owe();
        let since = publisher.told();
        self.note(since);
    }

    fn note(&mut self, since: Option<ResumeCursor>) {
        let since = self.gap.map_or(since, |gap| gap.since.min(since));
        self.gap = Some(Gap { since });
    }

    /// Moves the safe cursor, unless a repair for the time before the subscription is owed.
    fn advance(&mut self) {
        let Some(census) = self.census.as_ref().filter(|_| self.debt.is_settled()) else { return };
        let told = self.known.values().filter(|publisher| publisher.counts()).map(Publisher::told);
        let safe = told.fold(Some(census.safe), Option::min);
        self.safe = safe.or(self.safe);
    }

    /// One that is new has committed nothing before the safe cursor: it was not alive when that was
    /// taken.
    fn publisher(&mut self, id: PublisherId, now: Instant) -> &mut Publisher {
        if self.known.len() >= BOUND && !self.known.contains_key(&id) {
            self.forget_one();
        }
        let (shards, safe) = (self.shards, self.safe);
        self.known.entry(id).or_insert_with(|| Publisher::new(shards, safe, now))
    }

    fn forget_one(&mut self) {
        let oldest = self
            .known
            .iter()
            .min_by_key(|(_, publisher)| (publisher.counts(), publisher.heard_last()));
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
mod tests;
