//! Who is connected here, and what each is to be told.
//!
//! The ear delivers what was published, the announcer what could not be; sessions come and go. A delivery waits for nobody: a
//! socket that does not keep up costs its own outbox and nobody else. Adding and removing a socket take constant time. No
//! guard of a map leaves this file.

mod delivery;
pub mod outbox;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use galley_protocol::{HeroId, ResumeCursor, Update};
use tokio::task::coop::consume_budget;

use crate::feed::Feed;
use crate::metrics;
use delivery::{Delivery, by_hero};
pub use outbox::{Out, Outbox};

/// The connected sockets.
#[derive(Clone, Debug, Default)]
pub struct Hub(Arc<Sockets>);

#[derive(Debug, Default)]
struct Sockets {
    heroes: DashMap<HeroId, HashMap<SocketId, Arc<Outbox>>>,
    all: DashMap<SocketId, Arc<Outbox>>,
    feed: Feed,
    next: AtomicU64,
}

/// The number of a socket in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct SocketId(u64);

/// The hero holds as many sockets here as it may.
#[derive(Clone, Copy, Debug)]
pub struct TooMany;

/// A socket's place in the hub; dropping it leaves.
#[derive(Debug)]
pub struct Place {
    hub: Hub,
    id: SocketId,
    hero_id: Option<HeroId>,
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
        self.hub.0.all.remove(&self.id);
        if let Some(hero_id) = self.hero_id {
            if let Some(mut sockets) = self.hub.0.heroes.get_mut(&hero_id) {
                sockets.remove(&self.id);
            }
            self.hub.0.heroes.remove_if(&hero_id, |_, sockets| sockets.is_empty());
        }
        ::metrics::gauge!(metrics::SOCKETS).decrement(1);
    }
}

impl Hub {
    /// Takes a socket in: of a hero, or of staff. Whatever is delivered from now on waits in its outbox.
    ///
    /// # Errors
    /// [`TooMany`] when the hero holds `most` sockets already.
    pub fn join(&self, hero_id: Option<HeroId>, most: usize, outbox: Arc<Outbox>) -> Result<Place, TooMany> {
        let id = SocketId(self.0.next.fetch_add(1, Ordering::Relaxed));
        if let Some(hero_id) = hero_id {
            let mut sockets = self.0.heroes.entry(hero_id).or_default();
            if sockets.len() >= most {
                return Err(TooMany);
            }
            sockets.insert(id, Arc::clone(&outbox));
        }
        self.0.all.insert(id, Arc::clone(&outbox));
        ::metrics::gauge!(metrics::SOCKETS).increment(1);
        Ok(Place { hub: self.clone(), id, hero_id, outbox })
    }

    /// Tells every socket of the heroes, and every watcher, what changed. Says how many frames that were.
    pub async fn deliver(&self, updates: &[Update]) -> usize {
        self.0.feed.note(updates);
        let mut frames = 0;
        // Every gateway hears of every hero: most are not here.
        let here = updates.iter().filter(|update| self.0.heroes.contains_key(&update.hero_id));
        for (hero_id, updates) in by_hero(here) {
            let outboxes: Vec<_> = match self.0.heroes.get(&hero_id) {
                Some(sockets) => sockets.values().cloned().collect(),
                None => continue,
            };
            for delivery in Delivery::all(&updates) {
                deliver_to(&outboxes, &delivery).await;
            }
            frames += outboxes.len() * updates.len();
        }
        ::metrics::counter!(metrics::UPDATES_HEARD).increment(updates.len() as u64);
        ::metrics::counter!(metrics::UPDATES_DELIVERED).increment(frames as u64);
        frames
    }

    /// Tells every socket of a hero, and the staff feed, that updates may be missing since a moment, so that the database is read.
    pub fn repair(&self, since: Option<ResumeCursor>) {
        self.0.feed.fall_behind(since);
        for outbox in &self.0.all {
            outbox.fall_behind(since);
        }
        ::metrics::counter!(metrics::REPAIRS).increment(1);
    }

    /// The staff feed.
    #[must_use]
    pub fn feed(&self) -> &Feed {
        &self.0.feed
    }

    /// Calls `visit` for every socket. `visit` must not wait, nor come back to the hub.
    pub fn for_each(&self, mut visit: impl FnMut(&Outbox)) {
        for outbox in &self.0.all {
            visit(&outbox);
        }
    }

    /// How many sockets there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.all.len()
    }
}

async fn deliver_to(outboxes: &[Arc<Outbox>], delivery: &Delivery) {
    let mut written = 0;
    for outbox in outboxes {
        written += usize::from(outbox.push(delivery));
        consume_budget().await; // other tasks get their turn every hundred writes or so, which are about a millisecond
    }
    if written > 0 {
        metrics::count_frames(written * delivery.updates.len(), written * delivery.bytes());
        metrics::record_push_lag(delivery.updates[0].cursor.time);
    }
}
