//! One publisher, as a subscription knows it.

use std::time::Duration;

use galley_protocol::ResumeCursor;
use tokio::time::Instant;

use crate::heartbeat::SILENCE;

/// How often a repair is owed for a publisher that lives and is not heard.
const AGAIN: Duration = Duration::from_secs(2);

/// One publisher.
#[derive(Debug)]
pub(super) struct Publisher {
    shards: Vec<Shard>,
    pub(super) life: Life,
    pub(super) debt: Debt,
    /// When the next repair is owed, as long as it lives and is not heard.
    unheard: Option<Instant>,
    /// The end of one that died, until everything that it may have begun has ended.
    end: Option<End>,
}

/// A publisher on one shard.
#[derive(Clone, Debug)]
struct Shard {
    /// The last number that was heard, or is known to be missing.
    last: u64,
    /// Everything that it committed before was told.
    told: Option<ResumeCursor>,
    heard: Instant,
    left: bool,
}

/// The end of a publisher.
#[derive(Clone, Copy, Debug)]
struct End {
    /// All its transactions lie below this position.
    below: i64,
    /// When the next repair is owed.
    again: Instant,
}

/// The life of a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It lives, as far as anybody knows.
    Living,
    /// It said goodbye: everything was published.
    Left,
    /// It is silent, and the database does not know it. It is remembered for the case that it comes
    /// back.
    Dead,
}

/// The repairs that are owed. One that is owed anew while another is being carried out is carried
/// out after it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Debt {
    owed: bool,
    paying: bool,
}

impl Debt {
    pub(super) const OWED: Self = Self { owed: true, paying: false };

    pub(super) fn owe(&mut self) {
        self.owed = true;
    }

    /// A repair begins, perhaps once more after one that failed.
    pub(super) fn begin(&mut self) {
        *self = Self { owed: false, paying: self.owed || self.paying };
    }

    /// The repair was carried out. Returns true if this one was owed.
    pub(super) fn end(&mut self) -> bool {
        std::mem::take(&mut self.paying)
    }

    pub(super) fn is_settled(self) -> bool {
        !self.owed && !self.paying
    }
}

impl Publisher {
    pub(super) fn new(shards: usize, told: Option<ResumeCursor>, now: Instant) -> Self {
        let shard = Shard { last: 0, told, heard: now, left: false };
        Self {
            shards: vec![shard; shards],
            life: Life::Living,
            debt: Debt::default(),
            unheard: None,
            end: None,
        }
    }

    /// Takes note of a message with this number, before which this one must have been heard.
    /// Returns true if it is missing, or if the publisher came back.
    pub(super) fn hear(&mut self, shard: u16, number: u64, before: u64, now: Instant) -> bool {
        let revived = self.life == Life::Dead && self.revive();
        let Some(shard) = self.shards.get_mut(usize::from(shard)) else { return revived };
        let hole = shard.last < before;
        shard.last = shard.last.max(number);
        shard.heard = now;
        hole || revived
    }

    /// Takes the published cursor of a heartbeat whose numbers were all heard. It may be less than
    /// the one before: the database may have gone back.
    pub(super) fn advance(&mut self, shard: u16, published: Option<ResumeCursor>) {
        if let Some(shard) = self.shards.get_mut(usize::from(shard))
            && self.debt.is_settled()
            && published.is_some()
        {
            shard.told = published;
        }
    }

    /// Takes note of a goodbye on a shard.
    pub(super) fn leave(&mut self, shard: u16) {
        if let Some(shard) = self.shards.get_mut(usize::from(shard)) {
            shard.left = true;
        }
        if self.shards.iter().all(|shard| shard.left) {
            (self.life, self.unheard) = (Life::Left, None);
        }
    }

    /// It lives. Returns true if it was taken for dead: nobody knows what it committed meanwhile.
    pub(super) fn revive(&mut self) -> bool {
        let was_dead = self.life == Life::Dead;
        if was_dead {
            (self.life, self.end) = (Life::Living, None);
        }
        was_dead
    }

    /// Takes note of a repair since its cursor, or of one of everything.
    pub(super) fn repaired(&mut self, safe: ResumeCursor, of_all: bool) {
        if self.debt.end() || of_all {
            self.shards.iter_mut().for_each(|shard| shard.told = Some(safe));
        }
    }

    /// Returns true if a repair is owed because it is silent on any shard, or was until now. `safe`
    /// and `next` are positions: every transaction below the one has ended, every one that has
    /// begun is below the other.
    pub(super) fn judge(&mut self, lives: bool, safe: i64, next: i64, now: Instant) -> bool {
        match self.life {
            Life::Living => {}
            Life::Left => return false,
            Life::Dead => return self.judge_dead(safe, now),
        }
        if now - self.heard_first() < SILENCE {
            return self.unheard.take().is_some();
        }
        if lives || now - self.heard_last() < SILENCE {
            let due = self.unheard.is_none_or(|next| next <= now);
            if due {
                self.unheard = Some(now + AGAIN);
            }
            return due;
        }
        (self.life, self.unheard) = (Life::Dead, None);
        self.end = (safe < next).then(|| End { below: next, again: now + AGAIN });
        true
    }

    fn judge_dead(&mut self, safe: i64, now: Instant) -> bool {
        let Some(end) = &mut self.end else { return false };
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

    /// Returns true if the safe cursor must not pass its own.
    pub(super) fn counts(&self) -> bool {
        self.life == Life::Living || self.end.is_some() || !self.debt.is_settled()
    }

    /// Everything that it committed before was told.
    pub(super) fn told(&self) -> Option<ResumeCursor> {
        self.shards.iter().map(|shard| shard.told).min().flatten()
    }

    pub(super) fn unheard_since(&self) -> Option<Instant> {
        self.unheard.map(|_| self.heard_first())
    }

    /// The moment since which it is silent on one shard at least.
    fn heard_first(&self) -> Instant {
        self.shards.iter().map(|shard| shard.heard).min().expect("a bus has a shard")
    }

    pub(super) fn heard_last(&self) -> Instant {
        self.shards.iter().map(|shard| shard.heard).max().expect("a bus has a shard")
    }
}
