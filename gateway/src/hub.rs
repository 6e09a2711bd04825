//! Who is connected here, and what each is to be told.
//!
//! The ear delivers what was published, the announcer what could not be; sessions come and go. A delivery waits for nobody: a
//! socket that does not keep up costs its own outbox and nobody else, and a hero with many sockets no other hero. No guard of a map
//! leaves this file.

mod delivery;
mod mark;
pub mod outbox;
mod shard;

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use galley_protocol::{HeroId, ResumeCursor, Update};
use galley_store::CursorKeys;
use tokio::sync::Semaphore;

use crate::feed::Feed;
use crate::metrics;
pub use delivery::Notice;
use delivery::{Delivery, by_hero};
use mark::Watermark;
pub use outbox::{Missed, Out, Outbox};
use shard::Shard;

/// The least time between two deliveries of much: what comes meanwhile goes out in one write for each socket.
pub const TICK: Duration = Duration::from_millis(2);

/// The connected sockets.
#[derive(Clone, Debug)]
pub struct Hub(Arc<Sockets>);

#[derive(Debug)]
struct Sockets {
    /// Of each hero, and of staff, who are nobody.
    crowds: DashMap<Option<HeroId>, Crowd>,
    feed: Feed,
    watermark: Watermark,
    /// The turns of the shards' tasks.
    writers: Arc<Semaphore>,
}

/// The sockets of one hero.
#[derive(Debug, Default)]
struct Crowd {
    shards: Vec<Arc<Shard>>,
    sockets: usize,
}

/// The hero holds as many sockets here as it may.
#[derive(Clone, Copy, Debug)]
pub struct TooMany;

/// A socket's place in the hub; dropping it leaves.
#[derive(Debug)]
pub struct Place {
    hub: Hub,
    hero_id: Option<HeroId>,
    shard: Arc<Shard>,
    outbox: Arc<Outbox>,
}

impl Place {
    /// Whose socket it is; nobody's when it is staff's.
    #[must_use]
    pub fn hero_id(&self) -> Option<HeroId> {
        self.hero_id
    }

    /// What the socket is to be told.
    #[must_use]
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let crowds = &self.hub.0.crowds;
        if let Some(mut crowd) = crowds.get_mut(&self.hero_id) {
            self.shard.remove(&self.outbox);
            crowd.sockets -= 1;
        }
        crowds.remove_if(&self.hero_id, |_, crowd| crowd.sockets == 0);
        ::metrics::gauge!(metrics::SOCKETS).decrement(1);
    }
}

impl Crowd {
    /// Takes a socket in, where there is room.
    fn add(&mut self, outbox: &Arc<Outbox>) -> Arc<Shard> {
        self.sockets += 1;
        // The last one first: the others have room only after sockets have left.
        if let Some(shard) = self.shards.iter().rev().find(|shard| shard.add(outbox)) {
            return Arc::clone(shard);
        }
        let shard = Arc::<Shard>::default();
        shard.add(outbox);
        self.shards.push(Arc::clone(&shard));
        shard
    }
}

impl Hub {
    /// An empty hub, whose frames carry cursors that are signed with these keys.
    #[must_use]
    pub fn new(keys: CursorKeys) -> Self {
        let watermark = Watermark::new(keys);
        Self(Arc::new(Sockets { crowds: DashMap::default(), feed: Feed::default(), watermark, writers: shard::writers() }))
    }

    /// Moves the cursor of the frames that are delivered from now on. Everything below it has been handed to the outboxes.
    pub fn advance(&self, safe: ResumeCursor) {
        self.0.watermark.advance(safe);
    }

    /// Takes a socket in: of a hero, or of staff. Whatever is delivered from now on waits in its outbox.
    ///
    /// # Errors
    /// [`TooMany`] when the hero holds `most` sockets already.
    pub fn join(&self, hero_id: Option<HeroId>, most: usize, outbox: Arc<Outbox>) -> Result<Place, TooMany> {
        let mut crowd = self.0.crowds.entry(hero_id).or_default();
        if hero_id.is_some() && crowd.sockets >= most {
            return Err(TooMany);
        }
        let shard = crowd.add(&outbox);
        drop(crowd);
        ::metrics::gauge!(metrics::SOCKETS).increment(1);
        Ok(Place { hub: self.clone(), hero_id, shard, outbox })
    }

    /// Tells every socket of the heroes, and every watcher, what changed. Says how many frames it has written by itself, or tried to;
    /// those of heroes with many sockets are written by tasks.
    pub async fn deliver(&self, updates: &[Update]) -> usize {
        self.0.feed.note(updates);
        let mark = self.0.watermark.get();
        let (mut here, mut elsewhere) = (0, 0);
        // Every gateway hears of every hero: most are not here.
        let known = updates.iter().filter(|update| self.0.crowds.contains_key(&Some(update.hero_id)));
        for (hero_id, updates) in by_hero(known) {
            let Some(shards) = self.0.crowds.get(&Some(hero_id)).map(|crowd| crowd.shards.clone()) else { continue };
            let updates: Vec<Notice> = updates.into_iter().map(|update| Notice::new(update, &mark)).collect();
            let alone = if let [alone] = &shards[..] { alone.at_rest() } else { None };
            if let Some(outboxes) = alone {
                here += outboxes.len() * updates.len();
                shard::tell(&outboxes, &updates).await;
            } else {
                let later = shards.iter().map(|shard| shard.tell_later(&updates, &self.0.writers));
                elsewhere += updates.len() * later.sum::<usize>();
            }
        }
        ::metrics::counter!(metrics::UPDATES_HEARD).increment(updates.len() as u64);
        ::metrics::counter!(metrics::UPDATES_DELIVERED).increment((here + elsewhere) as u64);
        here
    }

    /// Tells every socket of a hero, and the staff feed, that updates may be missing since a moment, so that the database is read.
    pub fn repair(&self, since: Option<ResumeCursor>) {
        self.0.feed.fall_behind(since);
        for shard in self.shards() {
            shard.fall_behind(since);
        }
        ::metrics::counter!(metrics::REPAIRS).increment(1);
    }

    /// The staff feed.
    #[must_use]
    pub fn feed(&self) -> &Feed {
        &self.0.feed
    }

    /// Calls `visit` for every socket.
    pub fn for_each(&self, mut visit: impl FnMut(&Outbox)) {
        for shard in self.shards() {
            for outbox in shard.outboxes() {
                visit(&outbox);
            }
        }
    }

    /// How many sockets there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.crowds.iter().map(|crowd| crowd.sockets).sum()
    }

    /// As they are now: nothing waits while they are visited.
    fn shards(&self) -> Vec<Arc<Shard>> {
        self.0.crowds.iter().flat_map(|crowd| crowd.shards.clone()).collect()
    }
}
