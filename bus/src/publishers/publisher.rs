//! The state of one publisher in a subscription.

use std::time::Duration;

use galley_protocol::ResumeCursor;
use tokio::time::Instant;

use crate::heartbeat::SILENCE;

/// Interval of the repairs for a publisher that is silent or died.
const AGAIN: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Publisher {
    shards: Vec<PublisherShard>,
    pub(super) life: PublisherPhase,
    pub(super) debt: RepairDebt,
    /// The next repair that is due, while the publisher is alive and silent.
    unheard: Option<Instant>,
    /// `Some` if the publisher died and a transaction of it may still be under way.
    end: Option<PublisherEnd>,
}

#[derive(Clone, Debug)]
struct PublisherShard {
    /// The greatest number that was received or is known to be missing.
    last: u64,
    /// Everything that it committed before this cursor was delivered.
    published: Option<ResumeCursor>,
    received: Instant,
    /// The goodbye was received.
    left: bool,
}

/// The possible open transactions of a publisher that died.
#[derive(Clone, Copy, Debug)]
struct PublisherEnd {
    /// All its transactions lie below this position.
    below: i64,
    /// The next repair that is due.
    again: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PublisherPhase {
    Living,
    /// Stopped in order, with everything published.
    Left,
    /// Silent, and not alive according to the database. It is remembered because it may come back.
    Dead,
}

/// The due repairs. A repair that becomes due while another is carried out follows it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RepairDebt {
    owed: bool,
    paying: bool,
}

impl RepairDebt {
    pub(super) const OWED: Self = Self { owed: true, paying: false };

    pub(super) fn owe(&mut self) {
        self.owed = true;
    }

    /// Notes that a repair begins, possibly again after one that failed.
    pub(super) fn begin(&mut self) {
        *self = Self { owed: false, paying: self.owed || self.paying };
    }

    /// Notes that the repair was carried out. Returns true if one had begun.
    pub(super) fn end(&mut self) -> bool {
        std::mem::take(&mut self.paying)
    }

    pub(super) fn is_settled(self) -> bool {
        !self.owed && !self.paying
    }
}

impl Publisher {
    pub(super) fn new(shards: usize, published: Option<ResumeCursor>, now: Instant) -> Self {
        let shard = PublisherShard { last: 0, published, received: now, left: false };
        Self {
            shards: vec![shard; shards],
            life: PublisherPhase::Living,
            debt: RepairDebt::default(),
            unheard: None,
            end: None,
        }
    }

    /// Notes a message with `number`. All messages up to `before` must have been received. Returns
    /// true if one of them is missing, or if the publisher was considered dead.
    pub(super) fn receive(&mut self, shard: u16, number: u64, before: u64, now: Instant) -> bool {
        let revived = self.life == PublisherPhase::Dead && self.revive();
        let Some(shard) = self.shards.get_mut(usize::from(shard)) else { return revived };
        let hole = shard.last < before;
        shard.last = shard.last.max(number);
        shard.received = now;
        hole || revived
    }

    /// Takes the last number of a heartbeat as the true one. Returns true if a message had a higher
    /// number, which was false and hid every loss since.
    pub(super) fn correct(&mut self, shard: u16, number: u64) -> bool {
        let Some(shard) = self.shards.get_mut(usize::from(shard)) else { return false };
        std::mem::replace(&mut shard.last, number) > number
    }

    /// Takes the published cursor of a heartbeat, if no message up to it is missing. The cursor may
    /// be less than the one before, because the database may have been restored to an earlier
    /// state.
    pub(super) fn advance(&mut self, shard: u16, published: Option<ResumeCursor>) {
        if let Some(shard) = self.shards.get_mut(usize::from(shard))
            && self.debt.is_settled()
            && published.is_some()
        {
            shard.published = published;
        }
    }

    /// Notes a goodbye on a shard. The publisher has left once it has said goodbye on every shard.
    pub(super) fn leave(&mut self, shard: u16) {
        if let Some(shard) = self.shards.get_mut(usize::from(shard)) {
            shard.left = true;
        }
        if self.shards.iter().all(|shard| shard.left) {
            (self.life, self.unheard) = (PublisherPhase::Left, None);
        }
    }

    /// Notes that it is alive. Returns true if it was considered dead: what it committed meanwhile
    /// is unknown.
    pub(super) fn revive(&mut self) -> bool {
        let was_dead = self.life == PublisherPhase::Dead;
        if was_dead {
            (self.life, self.end) = (PublisherPhase::Living, None);
        }
        was_dead
    }

    /// Notes a repair that began at its cursor, or a repair of everything (`of_all`).
    pub(super) fn repaired(&mut self, safe: ResumeCursor, of_all: bool) {
        // `end` must run in either case, so it comes first.
        if self.debt.end() || of_all {
            self.shards.iter_mut().for_each(|shard| shard.published = Some(safe));
        }
    }

    /// Returns true if a repair is due because the publisher is silent on any shard, or was until
    /// now. Every transaction below the position `safe` has ended, and every transaction that has
    /// begun is below `next`.
    pub(super) fn judge(&mut self, lives: bool, safe: i64, next: i64, now: Instant) -> bool {
        match self.life {
            PublisherPhase::Living => {}
            PublisherPhase::Left => return false,
            PublisherPhase::Dead => return self.judge_dead(safe, now),
        }
        if now - self.least_recently_received() < SILENCE {
            // Received again: one last repair.
            return self.unheard.take().is_some();
        }
        // Alive, or received on another shard: a repair at each interval.
        if lives || now - self.most_recently_received() < SILENCE {
            let due = self.unheard.is_none_or(|next| next <= now);
            if due {
                self.unheard = Some(now + AGAIN);
            }
            return due;
        }
        // Silent on every shard and not in the census. A transaction that it began may still
        // commit, unless all that had begun have ended.
        (self.life, self.unheard) = (PublisherPhase::Dead, None);
        self.end = (safe < next).then(|| PublisherEnd { below: next, again: now + AGAIN });
        true
    }

    fn judge_dead(&mut self, safe: i64, now: Instant) -> bool {
        let Some(end) = &mut self.end else { return false };
        // Every transaction that it may have begun has ended: one last repair.
        if safe >= end.below {
            self.end = None;
            return true;
        }
        let due = end.again <= now;
        if due {
            end.again = now + AGAIN;
        }
        due
    }

    /// Returns true if its cursor bounds the safe cursor.
    pub(super) fn counts(&self) -> bool {
        self.life == PublisherPhase::Living || self.end.is_some() || !self.debt.is_settled()
    }

    /// Returns the cursor before which everything that it committed was delivered; `None` if that
    /// is unknown on any shard.
    pub(super) fn published(&self) -> Option<ResumeCursor> {
        self.shards.iter().map(|shard| shard.published).min().flatten()
    }

    /// Returns the start of its silence, if it is alive and silent.
    pub(super) fn unheard_since(&self) -> Option<Instant> {
        self.unheard.map(|_| self.least_recently_received())
    }

    /// Returns the moment of the last message on the shard that is silent for longest.
    fn least_recently_received(&self) -> Instant {
        self.shards.iter().map(|shard| shard.received).min().expect("a bus has a shard")
    }

    /// Returns the moment of the last message on any shard.
    pub(super) fn most_recently_received(&self) -> Instant {
        self.shards.iter().map(|shard| shard.received).max().expect("a bus has a shard")
    }
}
